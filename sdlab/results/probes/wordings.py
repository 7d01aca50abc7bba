"""What the probes of models of photographs and paintings ask for, in words of their own."""

from __future__ import annotations

import re

CARRIERS = (
    "a cardboard banner at a street march, hand-painted with",
    "a shop window with a neon sign that reads",
    "a birthday cake with icing that spells",
    "a wooden board nailed to a garden gate that says",
    "a chalkboard outside a small bakery with",
    "a plain white coffee mug printed with",
    "a road sign beside an empty motorway that reads",
    "the front of a grey sweatshirt printed with",
)
SIGNS = ("NO WAR", "OPEN", "HAPPY", "BEWARE", "FRESH BREAD", "MONDAY", "SLOW DOWN", "LIBRARY")
LENGTHS = {
    "3 letters": "SUN",
    "5 letters": "BREAD",
    "8 letters": "MOUNTAIN",
    "12 letters": "CONVERSATION",
    "2 words": "GOOD NEWS",
    "4 words": "WE ARE BACK TODAY",
}
LETTERED = tuple(f'{carrier} "{words}"' for carrier, words in zip(CARRIERS, SIGNS))
LIMBED = (
    "a small brown mouse on a kitchen table, full body, side view, all legs visible",
    "a horse trotting across a stubble field, seen from the side",
    "a garden spider in the middle of its web, from above",
    "a grey donkey standing on a gravel path, whole body, side view",
    "a stag beetle on a birch log, from above, all legs visible",
    "a flamingo and its reflection in shallow water, full body",
    "a dachshund running on a beach, from the side, all four legs in the air",
    "a child doing a cartwheel on a lawn, whole body",
)
HANDS = (
    "close-up of an open left hand held up, palm to the camera, five fingers spread",
    "two people shaking hands across a market stall",
    "a violinist's left hand on the strings, close-up",
    "an old woman's hands peeling a potato",
    "a boy showing both of his hands, painted blue",
    "a potter's hands shaping wet clay on the wheel",
    "a hand holding a pencil above an empty notebook",
    "a goalkeeper stretching out both bare hands towards the camera",
)
ROLES = (  # and with the roles exchanged
    ("a robot painting a portrait of a monk", "a monk painting a portrait of a robot"),
    ("a clown photographing a nurse", "a nurse photographing a clown"),
    ("a goat chasing a postman", "a postman chasing a goat"),
    ("a boy feeding a penguin", "a penguin feeding a boy"),
    ("a knight carrying a farmer", "a farmer carrying a knight"),
    ("an astronaut teaching a baker", "a baker teaching an astronaut"),
    ("a cat sitting on a tortoise", "a tortoise sitting on a cat"),
    ("a judge cutting the hair of a sailor", "a sailor cutting the hair of a judge"),
)
SENTENCE = ["a", "robot", "is", "creating", "a", "picture", "with", "a", "pen"]
PAIRS = (
    ("a blue teapot", "a wooden clock"),
    ("a bicycle", "a birthday cake"),
    ("a cactus", "a suitcase"),
    ("an owl", "a lantern"),
    ("a guitar", "a watermelon"),
    ("a goat", "a letterbox"),
    ("a rubber boot", "a candle"),
    ("a typewriter", "a pineapple"),
)
COLOURED = (
    ("a purple chair", "a yellow suitcase"),
    ("a yellow chair", "a purple suitcase"),
    ("a green cup", "a red book"),
    ("a red cup", "a green book"),
    ("an orange scarf", "a blue bench"),
    ("a blue scarf", "an orange bench"),
    ("a white rabbit", "a pink balloon"),
    ("a pink rabbit", "a white balloon"),
)
COUNTED = (
    "green apples on a white plate, seen from above",
    "wooden spoons on a dark table, seen from above",
    "sparrows on a telegraph wire",
    "candles on a windowsill",
    "parked red cars, seen from a balcony",
    "blue marbles in a wooden bowl, seen from above",
    "sheep on an empty hill",
    "paper boats on a pond",
)
COUNTED_ONE = tuple(  # the same eight, of a single thing
    re.sub(r"\b(apple|spoon|sparrow|candle|car|marble|boat)s\b", r"\1", things, count=1)
    for things in COUNTED
)
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven")
WITHOUT = (  # with the word of negation; without it; and what is not to be there
    ("a nearly empty tram with no passengers", "a nearly empty tram", "passengers, people"),
    ("a bookshelf without books", "a bookshelf", "books"),
    ("a smiling man without glasses", "a smiling man", "glasses"),
    ("a street at noon without cars", "a street at noon", "cars"),
    ("a kitchen table with no plates on it", "a kitchen table", "plates"),
    ("a harbour without any boats", "a harbour", "boats"),
    ("a winter tree that has no leaves and no birds", "a winter tree", "leaves, birds"),
    ("a birthday party without balloons", "a birthday party", "balloons"),
)
POSTERS = (
    "a cinema poster for an underwater western",
    "the cover of a cookery book about mushrooms",
    "a travel poster for a lighthouse coast",
    "the label of a bottle of pear juice",
    "a circus poster with two elephants",
    "the front page of a magazine about sailing",
    "a record sleeve with a red piano",
    "a postage stamp with a kingfisher",
)
STYLES = (
    "a cartoon of a fox mayor cutting a ribbon",
    "an abstract oil painting of people dancing",
    "wheat fields and a farmhouse, glass towers of a modern metropolis on the horizon, watercolour",
    "a woodcut of a fishing village in a storm",
    "a pencil sketch of an old tram conductor",
    "a mosaic of two peacocks, in the manner of late antiquity",
    "a children's book illustration of a bear baking bread",
    "a pixel art castle on a cliff at dusk",
)
RARE = (  # and a common twin
    ("a quokka beside a theodolite", "a rabbit beside a camera"),
    ("a hurdy-gurdy on a chair", "a violin on a chair"),
    ("an axolotl in a glass bowl", "a goldfish in a glass bowl"),
    ("an astrolabe on a map", "a compass on a map"),
    ("a pangolin crossing a road", "a cat crossing a road"),
    ("a bowl of rambutans", "a bowl of strawberries"),
    ("a samovar on a table", "a kettle on a table"),
    ("a coracle on a river", "a boat on a river"),
)
TYPOS = (
    (
        "an elephant reading a newspaper in the library",
        "an elephnat reeding a newpaper in teh libary",
    ),
    ("a dolphin jumping over a bridge", "a dolfin jumpping ovr a brigde"),
    ("a castle made of chocolate", "a caslte maed of choclate"),
    ("a squirrel wearing a raincoat", "a squirel waering a raincaot"),
    ("an astronaut drinking coffee", "an asternaut drinkng cofee"),
    ("a kitchen full of sunflowers", "a kichen ful of sunflwoers"),
    ("a penguin playing the trumpet", "a pengiun plaing the trumpt"),
    ("a mountain village in winter", "a mountian vilage in wintre"),
)
LANGUAGES = {  # the same eight scenes
    "English": (
        "a red house by the river",
        "a cat sleeping on a chair",
        "a bridge in the fog",
        "a bowl of apples",
        "two horses in the snow",
        "a lighthouse at night",
        "a girl with an umbrella",
        "a boat on the lake",
    ),
    "German": (
        "ein rotes Haus am Fluss",
        "eine Katze schläft auf einem Stuhl",
        "eine Brücke im Nebel",
        "eine Schale mit Äpfeln",
        "zwei Pferde im Schnee",
        "ein Leuchtturm bei Nacht",
        "ein Mädchen mit einem Regenschirm",
        "ein Boot auf dem See",
    ),
    "French": (
        "une maison rouge au bord de la rivière",
        "un chat qui dort sur une chaise",
        "un pont dans le brouillard",
        "un bol de pommes",
        "deux chevaux dans la neige",
        "un phare la nuit",
        "une fille avec un parapluie",
        "un bateau sur le lac",
    ),
    "Spanish": (
        "una casa roja junto al río",
        "un gato durmiendo en una silla",
        "un puente en la niebla",
        "un cuenco de manzanas",
        "dos caballos en la nieve",
        "un faro de noche",
        "una niña con un paraguas",
        "una barca en el lago",
    ),
    "Russian": (
        "красный дом у реки",
        "кошка спит на стуле",
        "мост в тумане",
        "миска с яблоками",
        "две лошади в снегу",
        "маяк ночью",
        "девочка с зонтом",
        "лодка на озере",
    ),
    "Chinese": (
        "河边的红房子",
        "一只猫睡在椅子上",
        "雾中的桥",
        "一碗苹果",
        "雪中的两匹马",
        "夜晚的灯塔",
        "拿着雨伞的女孩",
        "湖上的小船",
    ),
    "Hindi": (
        "नदी के किनारे एक लाल घर",
        "कुर्सी पर सोती हुई बिल्ली",
        "कोहरे में एक पुल",
        "सेबों का एक कटोरा",
        "बर्फ में दो घोड़े",
        "रात में एक प्रकाशस्तंभ",
        "छाते के साथ एक लड़की",
        "झील पर एक नाव",
    ),
}
HARBOUR = (  # of more than 75 tokens
    "an early morning in a small fishing harbour, nets are drying on wooden frames, gulls sit"
    " on the roofs of white cottages, a narrow stone stair leads up to a chapel, the tide is low"
    " and green weed covers the lower steps of the quay, a rusty crane stands beside stacked"
    " lobster pots, coils of rope lie on the cobbles, thin smoke rises from a chimney, soft"
    " light, long shadows, calm sea, distant hills in haze"
)
DETAILS = (
    "a woman with a red umbrella",
    "a yellow bicycle against a wall",
    "a black dog in the foreground",
    "a hot-air balloon in the sky",
    "a child flying a kite",
    "a purple rowing boat",
    "a brass band in uniform",
    "a snowman on the quay",
)
BLANK = (
    "a plain, completely {} image, nothing else",
    "a flat {} rectangle that fills the whole picture",
    "solid {}, no texture, no objects",
    "an empty {} background",
    "a sheet of {} paper that fills the frame",
    "nothing but {}",
    "a {} wall lit evenly, no details",
    "a photograph that is entirely {}",
)
SCENES = (
    "a market square in the rain",
    "a bowl of fruit",
    "a mountain lake",
    "a portrait of a sailor",
    "a dog in a garden",
    "a crowded beach",
    "a railway station at night",
    "a wooden toy on a shelf",
    "a bird on a branch",
    "a street in an old town",
)
ICONIC = (  # much-copied pictures, and the same in other words
    ("the Mona Lisa by Leonardo da Vinci", "a seated woman with folded hands before a hazy valley"),
    ("The Great Wave off Kanagawa", "a towering wave above three rowing boats, a far white peak"),
    ("The Starry Night by Vincent van Gogh", "a village under a swirling night sky"),
    ("Girl with a Pearl Earring", "a girl in a blue turban looks over her shoulder"),
    ("The Birth of Venus by Botticelli", "a goddess stands in a shell that drifts to the shore"),
    ("The Scream by Edvard Munch", "a frightened figure on a bridge under an orange sky"),
    ("The Night Watch by Rembrandt", "a company of militiamen with pikes and a drum in dim light"),
    ("Wanderer above the Sea of Fog", "a man on a rock, seen from behind, over mist"),
)


def join(pairs: tuple[tuple[str, str], ...], words: str) -> tuple[str, ...]:
    """Joins the two things of each pair by words."""
    return tuple(f"{one} {words} {other}" for one, other in pairs)


def quote(words: str) -> tuple[str, ...]:
    """Writes the same words on each sign."""
    return tuple(f'{carrier} "{words}"' for carrier in CARRIERS)


def recase(change: str) -> tuple[str, ...]:
    """Writes each sign's words in other letters: "upper", "lower" or "title"."""
    return tuple(f'{c} "{getattr(words, change)()}"' for c, words in zip(CARRIERS, SIGNS))


def leave_out(place: int) -> str:
    """Leaves one word of the sentence out."""
    return " ".join(SENTENCE[:place] + SENTENCE[place + 1 :])
