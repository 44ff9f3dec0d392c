//! The made-up business: its lines, its flows and its ads.
//!
//! A shop called Lucero sends offers, reminders and codes, answers visitors with flows, and hands
//! some of them over to agents. Each version of a flow is better than the one before.

use super::people::Language;

/// A WhatsApp line of the business.
#[derive(Debug)]
pub(super) struct Line {
    /// The phone number, in digits.
    pub(super) number: &'static str,
    pub(super) display_name: &'static str,
    /// The WhatsApp Business account that it belongs to.
    pub(super) waba: &'static str,
    /// `true` if reports group its conversations by category, `false` if by who started them.
    pub(super) by_category: bool,
}

/// The lines, in the order of `Country::line`.
pub(super) static LINES: [Line; 3] = [
    Line {
        number: "576010000001",
        display_name: "Lucero Colombia",
        waba: "100000000000057",
        by_category: false,
    },
    Line {
        number: "528000000001",
        display_name: "Lucero México",
        waba: "100000000000052",
        by_category: true,
    },
    Line {
        number: "551130000001",
        display_name: "Lucero Brasil, atenção ao cliente",
        waba: "100000000000057",
        by_category: false,
    },
];

/// The line that the business runs itself: it is in Meta's webhooks, and in no report of a vendor.
pub(super) static OWN_LINE: Line = Line {
    number: "576010000002",
    display_name: "Lucero App",
    waba: "100000000000058",
    by_category: true,
};

/// What starts a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A send to many people at once.
    Campaign,
    /// A send to one person, after something they did.
    Notice,
    /// A person who writes first.
    Entry,
    /// A redirection.
    Inner,
}

/// A flow: what Treble calls a conversation or a poll.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) id: u32,
    pub(super) role: Role,
    /// The share of sends or visits that start here, per mille.
    pub(super) weight: u32,
    /// The share of delivered sends that get a reply, or of people redirected here who go on, per
    /// mille.
    pub(super) reply: u32,
    /// The share of people at a node who leave there, in the first version, per mille.
    pub(super) leave: u32,
    /// The share of people who are handed over to an agent, per mille.
    pub(super) handover: u32,
    /// The timeout after which sessions are closed, in minutes; `None` for no timeout.
    pub(super) closes_after: Option<i64>,
    pub(super) nodes: &'static [&'static str],
    /// The flows that it redirects to, by index in [`FLOWS`].
    pub(super) redirects: &'static [usize],
    /// The template that starts it.
    pub(super) template: &'static str,
    /// The template's category.
    pub(super) category: &'static str,
}

/// The campaign of the season.
pub(super) const PROMOTION: usize = 0;
const MENU: usize = 6;
/// The flow for visitors from an ad or a post.
pub(super) const FROM_META: usize = 7;
/// The flow for visitors from a link.
pub(super) const FROM_LINK: usize = 8;
const SALES: usize = 9;
const SUPPORT: usize = 10;
const RETURNS: usize = 11;

/// The flows, at the indexes above.
pub(super) static FLOWS: [Flow; 12] = [
    Flow {
        id: 41207,
        role: Role::Campaign,
        weight: 280,
        reply: 300,
        leave: 330,
        handover: 120,
        closes_after: Some(60),
        nodes: &["welcome", "offer", "size", "city", "confirm", "thanks"],
        redirects: &[SALES, MENU],
        template: "promo_temporada",
        category: "marketing",
    },
    Flow {
        id: 41214,
        role: Role::Notice,
        weight: 150,
        reply: 360,
        leave: 300,
        handover: 150,
        closes_after: Some(30),
        nodes: &["welcome", "cart", "coupon", "pay"],
        redirects: &[SALES],
        template: "carrito_pendiente",
        category: "marketing",
    },
    Flow {
        id: 41221,
        role: Role::Notice,
        weight: 190,
        reply: 330,
        leave: 260,
        handover: 180,
        closes_after: Some(12 * 60),
        nodes: &["welcome", "order", "address", "done"],
        redirects: &[SUPPORT, RETURNS],
        template: "pedido_en_camino",
        category: "utility",
    },
    Flow {
        id: 41228,
        role: Role::Notice,
        weight: 110,
        reply: 620,
        leave: 160,
        handover: 80,
        closes_after: Some(24 * 60),
        nodes: &["welcome", "confirm", "date", "done"],
        redirects: &[SUPPORT],
        template: "recordatorio_cita",
        category: "utility",
    },
    Flow {
        id: 41235,
        role: Role::Notice,
        weight: 70,
        reply: 40,
        leave: 600,
        handover: 40,
        closes_after: Some(10),
        nodes: &["code", "done"],
        redirects: &[],
        template: "codigo_acceso",
        category: "authentication",
    },
    Flow {
        id: 41242,
        role: Role::Campaign,
        weight: 200,
        reply: 440,
        leave: 220,
        handover: 60,
        closes_after: None,
        nodes: &["welcome", "score", "why", "more", "thanks"],
        redirects: &[MENU, SUPPORT],
        template: "encuesta_servicio",
        category: "utility",
    },
    Flow {
        id: 41249,
        role: Role::Entry,
        weight: 550,
        reply: 800,
        leave: 240,
        handover: 260,
        closes_after: Some(60),
        nodes: &["welcome", "menu", "topic", "detail", "done"],
        redirects: &[SALES, SUPPORT, RETURNS],
        template: "",
        category: "service",
    },
    Flow {
        id: 41256,
        role: Role::Entry,
        weight: 270,
        reply: 800,
        leave: 300,
        handover: 220,
        closes_after: Some(30),
        nodes: &["welcome", "product", "price", "city", "pay", "done"],
        redirects: &[SALES, MENU],
        template: "",
        category: "service",
    },
    Flow {
        id: 41263,
        role: Role::Entry,
        weight: 180,
        reply: 800,
        leave: 200,
        handover: 120,
        closes_after: None,
        nodes: &["welcome", "catalogue", "product", "done"],
        redirects: &[SALES],
        template: "",
        category: "service",
    },
    Flow {
        id: 41270,
        role: Role::Inner,
        weight: 0,
        reply: 820,
        leave: 230,
        handover: 420,
        closes_after: Some(60),
        nodes: &["hello", "need", "quote", "pay", "done"],
        redirects: &[MENU, SUPPORT],
        template: "",
        category: "service",
    },
    Flow {
        id: 41277,
        role: Role::Inner,
        weight: 0,
        reply: 900,
        leave: 180,
        handover: 560,
        closes_after: Some(24 * 60),
        nodes: &["hello", "problem", "photo", "case"],
        redirects: &[RETURNS],
        template: "",
        category: "service",
    },
    Flow {
        id: 41284,
        role: Role::Inner,
        weight: 0,
        reply: 850,
        leave: 260,
        handover: 300,
        closes_after: None,
        nodes: &["hello", "order", "reason", "pickup", "done"],
        redirects: &[MENU],
        template: "",
        category: "service",
    },
];

/// The latest version of a flow on a day of the plan; versions count from 1.
pub(super) fn latest_version(flow: usize, day: i64) -> u32 {
    let age = day - i64::try_from(flow).unwrap_or(0);
    1 + [8, 19, 47, 103, 211].into_iter().map(|release| u32::from(age >= release)).sum::<u32>()
}

/// An ad or a post on Meta.
#[derive(Clone, Copy, Debug)]
pub(super) struct MetaSource {
    /// Ids of ads have 18 digits, more than a float keeps; those of posts have 15.
    pub(super) id: u64,
    pub(super) is_ad: bool,
    pub(super) headline: &'static str,
    pub(super) body: &'static str,
    pub(super) is_video: bool,
}

const SUMMER: [&str; 2] = ["Luces de verano", "Lámparas solares para el balcón, sin cables."];
const SALE: [&str; 2] = ["Rebajas, hasta el domingo", "El segundo producto a mitad de precio."];
const STORE: [&str; 2] = ["Abrimos en tu barrio", "Ven a \"Lucero Centro\" y llévate un regalo."];
const BRAZIL: [&str; 2] =
    ["Frete grátis em maio", "Peça pelo WhatsApp: a entrega é por nossa conta."];

const fn source(id: u64, is_ad: bool, words: [&'static str; 2], is_video: bool) -> MetaSource {
    MetaSource { id, is_ad, headline: words[0], body: words[1], is_video }
}

/// The ads and posts, by decreasing traffic.
pub(super) static SOURCES: [MetaSource; 12] = [
    source(120_226_305_854_810_107, true, SALE, true),
    source(120_226_305_854_810_731, true, SUMMER, false),
    source(120_226_305_854_810_739, true, SUMMER, true),
    source(120_226_305_854_810_251, true, BRAZIL, false),
    source(120_226_305_854_810_263, true, BRAZIL, true),
    source(120_226_305_854_810_409, true, STORE, false),
    source(100_000_000_000_731, false, STORE, false),
    source(120_226_305_854_810_413, true, STORE, true),
    source(120_226_305_854_810_569, true, SALE, false),
    source(100_000_000_000_739, false, SUMMER, true),
    source(120_226_305_854_810_903, true, SALE, false),
    source(100_000_000_000_743, false, SALE, false),
];

/// WhatsApp links: campaign and platform.
pub(super) static LINKS: [[&str; 2]; 5] = [
    ["Catálogo de invierno", "Instagram"],
    ["Vitrina; centro", "Facebook"],
    ["Código QR \"caja\"", "Google"],
    ["Catálogo de invierno", "Facebook"],
    ["Newsletter, junio", "Google"],
];

/// Failures of sends: the code, the share per mille, and the reason in the tabular report if the send
/// reached WhatsApp.
pub(super) static FAILURES: [(&str, u32, Option<&str>); 20] = [
    ("FAILURE_BY_META_CHOSE_NOT_DELIVER", 190, Some("Not delivered to keep healthy engagement.")),
    ("FAILURE_BY_UNABLE_TO_CONTACT", 150, Some("Recipient cannot be reached on WhatsApp.")),
    ("INVALID_PHONE", 120, Some("Recipient is not a valid WhatsApp user.")),
    ("FAILURE_BY_HUMAN_HANDOVER", 90, None),
    ("FAILURE_BY_SPAM_RATE_LIMIT", 60, Some("Spam rate limit hit.")),
    ("FAILURE_BY_OPTOUT_CONTACT", 50, None),
    ("FAILURE_BY_BLOCKED_CONTACT", 40, None),
    ("FAILURE_BY_TIER_CAPACITY", 40, None),
    ("FAILURE", 40, Some("Message undeliverable.")),
    ("FAILURE_BY_RATE_LIMIT", 30, None),
    ("COMPANY_RATE_LIMIT", 30, None),
    ("MISSING_PARAMETER", 30, None),
    ("PARAMETER_MISMATCH", 30, Some("Template params not matching.")),
    ("FAILURE_BY_EXPERIMENT_NUMBER", 20, Some("Recipient takes part in an experiment.")),
    ("REVOKED", 20, None),
    ("FAILURE_BY_DISABLED_HSM", 20, Some("Template is paused.")),
    ("INVALID_POLL", 10, None),
    ("CHARACTER_LIMIT_HEADER", 10, Some("Header is too long.")),
    ("CHARACTER_LIMIT_BODY", 10, Some("Body is too long.")),
    ("LINE_UNDER_MAINTENANCE", 10, None),
];

/// The index of the failure for a person who gets too many messages.
pub(super) const CAPPED: usize = 0;
/// The index of the failure for a person who has blocked the line.
pub(super) const BLOCKED: usize = 1;
/// The index of the failure for a line that has reached its limit of people.
pub(super) const FULL: usize = 7;
/// The index of the failure whose reason is not said.
pub(super) const NOT_SAID: usize = 8;
/// The index of the failure for a template that is paused.
pub(super) const PAUSED: usize = 15;

/// The texts of messages in one language.
pub(super) struct Phrases {
    /// By index in [`FLOWS`].
    pub(super) template: [&'static str; 6],
    pub(super) bot: &'static [&'static str],
    pub(super) agent: &'static [&'static str],
    /// Texts that people write.
    pub(super) person: &'static [&'static str],
}

/// The texts in a language.
pub(super) fn phrases(language: Language) -> &'static Phrases {
    match language {
        Language::Spanish => &SPANISH,
        Language::Portuguese => &PORTUGUESE,
        Language::English => &ENGLISH,
    }
}

static SPANISH: Phrases = Phrases {
    template: [
        "¡Hola! Tu luz favorita está de rebajas. ¿Te la guardamos?",
        "Dejaste algo en el carrito. ¿Seguimos?",
        "Tu pedido va en camino, llega entre las 9:00 y las 13:00.",
        "Te esperamos mañana. Responde SÍ para confirmar.",
        "Tu código es ****.",
        "¿Cómo te atendimos? Del 1 al 5.",
    ],
    bot: &[
        "¿En qué ciudad estás?",
        "Elige una opción:\n1. Comprar\n2. Mi pedido\n3. Un asesor",
        "Perfecto, lo anoto.",
        "¿Cuántas unidades quieres?",
        "Gracias por escribirnos 💡",
    ],
    agent: &[
        "Soy Alba, ¿en qué te ayudo?",
        "Ya revisé tu pedido: sale hoy, sin costo.",
        "¿Me compartes una foto, por favor?",
    ],
    person: &[
        "Hola",
        "Buenas, ¿cuánto cuesta la lámpara?",
        "1",
        "2",
        "SÍ",
        "No, gracias",
        "Quiero hablar con un asesor",
        "¿Hacen envíos a Cúcuta?",
        "talla \"M\", color azul",
        "Ok 👍",
        "Necesito cambiarla, llegó rota",
        "4",
        "¡Muchas gracias!",
        "jajaja",
        "Calle 10, apto 3\ntimbre verde",
    ],
};

static PORTUGUESE: Phrases = Phrases {
    template: [
        "Oi! Sua luminária favorita está em promoção. Quer que a gente reserve?",
        "Você deixou algo no carrinho. Vamos continuar?",
        "Seu pedido saiu para entrega, chega até as 18h.",
        "Sua visita é amanhã. Responda SIM para confirmar.",
        "Seu código é ****.",
        "Como foi o atendimento? De 1 a 5.",
    ],
    bot: &[
        "Em que cidade você está?",
        "Escolha uma opção:\n1. Comprar\n2. Meu pedido\n3. Atendente",
        "Certo, anotado.",
        "Quantas unidades?",
        "Obrigado por escrever 💡",
    ],
    agent: &[
        "Aqui é o Davi, como posso ajudar?",
        "Seu pedido sai hoje, sem custo.",
        "Pode mandar uma foto?",
    ],
    person: &[
        "Oi",
        "Bom dia, qual é o preço?",
        "1",
        "2",
        "SIM",
        "Não, obrigada",
        "Quero falar com atendente",
        "Entrega em São José, também?",
        "tamanho \"G\"",
        "👍🏽",
        "3",
        "Valeu!",
        "kkkk",
        "Rua das Flores, 12\nportão azul",
    ],
};

static ENGLISH: Phrases = Phrases {
    template: [
        "Hi! The lamp you liked is on sale. Shall we keep one for you?",
        "You left something in your cart. Shall we go on?",
        "Your order is on its way, it comes before 6 pm.",
        "See you tomorrow. Answer YES to confirm.",
        "Your code is ****.",
        "How did we do? From 1 to 5.",
    ],
    bot: &[
        "Which city are you in?",
        "Choose one:\n1. Buy\n2. My order\n3. An agent",
        "Noted, thank you.",
        "How many do you need?",
        "Thanks for writing 💡",
    ],
    agent: &[
        "This is Noor, how can I help?",
        "Your order leaves today, free of charge.",
        "Could you send a photo?",
    ],
    person: &[
        "Hi",
        "Hello, what's the price?",
        "1",
        "2",
        "YES",
        "No, thanks",
        "agent please",
        "Do you deliver to Pune?",
        "size \"L\", blue",
        "ok 👍",
        "5",
        "Thank you!",
        "haha",
        "Flat 3, 10th Street\ngreen bell",
    ],
};
