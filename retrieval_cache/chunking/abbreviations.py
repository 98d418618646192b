"""Abbreviations after whose dot a sentence goes on, by language.

Left out are those that end sentences about as often as not ("etc.", "p.m.",
"и т. д.", units): two sentences that count as one cost a passage more than one
that is cut in two. Single capitals need no entry (`full_stops.py`). Written in
small letters, without the last dot.
"""

from __future__ import annotations

import functools

_ALL = "dr prof mr mrs ms st vs cf gen col lt sgt capt hon rev ph.d fr jr sr"

# A number follows these: "p. 12", "No. 5". Before a word they are taken for words ("No. He …").
_BEFORE_NUMBERS = (
    "no nos nr núm num n° nº n p pp pg pag pág págs hlm hal s str sid vol bd t tom fig figs abb obr ill art arts ch "
    "chap cap sec § ver ca c circa cca tel č čj uimh lch рис стр с гл т ст п ч № бр тел ок около пр прибл "
    "est approx aprox rp"
)
BEFORE_NUMBERS = frozenset(_BEFORE_NUMBERS.split())

_BY_LANGUAGE = {
    "am": "ዓ.ም ዓ.ዓ ዶ/ር እ.ኤ.አ እ.አ.አ ኪ.ሜ",
    "ar": "أ.د د.م",
    "az": "prof akad yəni məs bax dos müəl t.ü",
    "bg": "хр г ул бул пл гр с общ им св проф акад доц инж арх ген полк кап г-н г-жа напр т.е т.нар стр рис табл гл вж "
    "лат англ нем фр гр рус тур изд ред",
    "bn": "ডঃ ড ডা ডাঃ মো মোঃ মোসা মি প্রফে অধ্যা কি.মি সে.মি খ্রি খ্রি.পূ নং পৃ",
    "br": "ao niv p itr",
    "cs": "p sv ing mgr mudr judr phdr rndr mvdr bc doc akad arch plk kpt gen por tzv tj např mj popř resp čl odst "
    "písm obr tab zejm nar zemř roč red ul nám tř př",
    "de": "z.b z u.a d.h d s s.o s.u v.a bzw ca evtl ggf hl hr nr abb bd vgl sog geb gest inkl jan feb mär apr jun "
    "jul aug sep sept okt nov dez dipl ing u",
    "el": "κ κα κος κκ δρ καθ π.χ πχ λ.χ λχ δηλ βλ πρβλ σελ τόμ εκδ αρ αγ λεωφ οδ τηλ κεφ εικ",
    "en": "e.g i.e messrs mt ft gov sen rep pres maj cmdr adm dept vol ed eds al jan feb mar apr jun jul "
    "aug sep sept oct nov dec viz",
    "es": "sr sra dra sres sras srta d dª dña lic ing arq gral cnel cap sto sta excmo ee.uu ee p.ej ej av avda núm pág "
    "aprox depto prov ud uds vd vds",
    "fr": "m mm mme mmes mlle mlles me mgr pr ste av apr env p.ex ex éd dir vol chap fig j.-c janv févr juil",
    "ga": "oll toll m.sh uimh lch",
    "hi": "डॉ डा प्रो पं कु मो स्व इं रु कि.मी सें.मी पृ वि.सं ई.पू एम.ए बी.ए पी.एच",
    "hy": "պրոֆ ակադ տ մ.թ մ.թ.ա",
    "id": "h hj drs dra ir hlm tn ny nn sdr yth jl jln kab kec kel prov tgl a.n r.a r.m k.h kh moh muh kol kapt "
    "brigjen letjen jend",
    "it": "sig sigg sig.ra sig.na dott dott.ssa prof.ssa ing avv arch on mons ss p.es es pag vol cap fig art ecc.mo "
    "c.d",
    "mn": "проф акад док х.м т.ж",
    "mr": "डॉ डा प्रा पं कु सौ चि कै स्व न्या ह.भ.प रु कि.मी सें.मी पृ इ.स वि.सं वि.वा ग.दि पु.ल एम.ए बी.ए पी.एच",
    "no": "f.eks ca bl.a bl dvs kl nr s hr fru ing adm dir red jf jfr pga mht evt inkl ev tlf jan feb apr aug sept "
    "okt nov des ang pr",
    "pt": "sra sres sras srta d dª dra drª profª eng arq exmo exma cap av pág p.ex ex vol aprox ed sto sta séc art",
    "ro": "acad str d dl dna d-na d-l ing arh sf bd nr art pag vol cca p.m î.hr",
    "ru": "г им ул пр просп пл д кв корп стр рис табл гл см ср напр т.е т.к т.н св о оз р п пос с обл проф акад доц "
    "канд г-н г-жа тов гр инж ген полк кап лейт ред изд пер сост лат англ нем фр греч итал яп кит прибл",
    "sc": "sig prof.ssa dott ing avv mons pag vol cap p.es",
    "si": "කි.මී සෙ.මී ක්‍රි.ව ක්‍රි.පූ රු",
    "sw": "dkt bw bi mhe k.m kwa.m mh uk",
    "ta": "திரு திருமதி டாக்டர் முனை பேரா கி.மீ செ.மீ கி.பி கி.மு எ.கா ரூ",
    "te": "డా ప్రొ కి.మీ సెం.మీ క్రీ.శ క్రీ.పూ సా.శ రు పే",
    "tl": "hen g gng bb gat kgg engr atty arch sta sto blg",
    "tr": "sn doç av örn bkz cad sok mah apt",
    "uk": "м р ім вул просп пл буд кв корп стор рис табл гл див напр т.зв о оз п с обл проф акад доц канд гр інж "
    "ген полк ред вид пер лат англ нім фр грец укр рос св",
    "vi": "ths gs pgs bs ts tp ks nxb",
    "yo": "ọgb alh",
}  # fmt: skip

# People's initials are written with the names of the Latin letters ("एम. एस. धोनी").
_LETTERS = {
    "hi": "ए बी सी डी ई एफ जी एच आई जे के एल एम एन ओ पी क्यू आर एस टी यू वी डब्ल्यू एक्स वाई ज़ेड",
    "mr": "ए बी सी डी ई एफ जी एच आय जे के एल एम एन ओ पी क्यू आर एस टी यू व्ही डब्ल्यू एक्स वाय झेड",
    "bn": "এ বি সি ডি ই এফ জি এইচ আই জে কে এল এম এন ও পি কিউ আর এস টি ইউ ভি ডব্লিউ এক্স ওয়াই জেড",
    "ta": "ஏ பி சி டி ஈ எஃப் ஜி எச் ஐ ஜே கே எல் எம் என் ஓ கியூ ஆர் எஸ் யூ வி டபிள்யூ வை மு கோ கா தி சு பா வே ரா நா",
    "te": "ఎ ఏ బి సి డి ఇ ఈ ఎఫ్ జి హెచ్ ఐ జె కె ఎల్ ఎం ఎన్ ఓ పి క్యూ ఆర్ ఎస్ టి యు వి డబ్ల్యు ఎక్స్ వై",
    "si": "ඒ බී සී ඩී ඊ එෆ් ජී එච් අයි ජේ කේ එල් එම් එන් ඕ පී කිව් ආර් එස් ටී යූ වී ඩබ්ලිව් ඩබ් එක්ස් වයි",
}  # fmt: skip

# Languages that share the usage of another, and Wikipedia's names for the same.
_AS = {
    "nn": "no", "nb": "no", "da": "no", "sk": "cs", "arz": "ar", "ary": "ar", "ne": "hi", "jv": "id", "su": "id",
    "min": "id", "ms": "id", "fil": "tl", "ceb": "tl", "gl": "pt", "ca": "es", "be": "ru", "ti": "am", "simple": "en",
    "lb": "de", "nds": "de",
}  # fmt: skip


@functools.cache
def abbreviations(language: str) -> frozenset[str]:
    """Abbreviations of a language (a Wikipedia code), with those that languages share."""
    language = _AS.get(language, language)
    return frozenset(f"{_ALL} {_BY_LANGUAGE.get(language, '')} {_LETTERS.get(language, '')}".split())
