//! Who may come in: the key's check and the limits', and what the answer says of them.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use hybrid_guest::settings;
use spin_sdk::wasip3::http::types::{Fields, Method, Request};

use crate::admission::Ticket;
use crate::keys::{self, Key};
use crate::limits::{self, Counts, Limits, Standing, Unit};
use crate::refusal::Refusal;
use crate::routes;
use crate::state::{Away, Store};
use crate::usage::Usage;

/// Requests taken from a store at once where each taking costs a write to a disk.
const LEASE: i64 = 32;

/// What the settings say of keys and limits.
pub(crate) struct Rules {
    /// Keys are asked for even before one is made.
    always: bool,
    /// Of an address that shows no key.
    address: Limits,
    /// Of a key that has no limits of its own.
    key: Limits,
    lease: i64,
}

impl Rules {
    pub(crate) fn read() -> Rules {
        let limits = |whose: &str| Limits {
            requests: limit(&format!("{whose}_requests_per_minute")),
            tokens: limit(&format!("{whose}_tokens_per_minute")),
            pictures: limit(&format!("{whose}_pictures_per_minute")),
        };
        Rules {
            always: settings::parsed("require_key", false),
            address: limits("address"),
            key: limits("key"),
            lease: settings::parsed("limit_lease", LEASE),
        }
    }
}

struct Stores {
    kept: Option<Store>,
    counts: Option<Store>,
}

thread_local! {
    static STORES: OnceCell<Stores> = const { OnceCell::new() };
    static COUNTS: RefCell<Counts> = RefCell::default();
}

/// Runs with the stores, opened once in the life of an instance.
fn with_stores<T>(run: impl FnOnce(&Stores) -> Result<T, Away>) -> Result<T, Away> {
    STORES.with(|cell| {
        if let Some(stores) = cell.get() {
            return run(stores);
        }
        let name = settings::text("count_store").unwrap_or_else(|| "default".to_owned());
        let stores = Stores { kept: Store::open("default")?, counts: Store::open(name.trim())? };
        run(cell.get_or_init(|| stores))
    })
}

/// Somebody who was let in.
pub(crate) struct Guest {
    pub key: Option<Rc<Key>>,
    /// Whom limits count for, and which they are.
    counted: Option<(String, Limits)>,
    standings: Vec<Standing>,
}

/// Somebody who was not.
pub(crate) struct Turned {
    pub refusal: Refusal,
    pub standings: Vec<Standing>,
    /// Whose key it is, where that is known.
    pub key: Option<String>,
}

impl From<Refusal> for Box<Turned> {
    fn from(refusal: Refusal) -> Self {
        Box::new(Turned { refusal, standings: Vec::new(), key: None })
    }
}

/// Whether there is anything to check.
pub(crate) fn needed(rules: &Rules) -> Result<bool, Away> {
    if rules.always || rules.address.any() {
        return Ok(true);
    }
    with_stores(|stores| stores.kept.as_ref().map_or(Ok(false), keys::are_made))
}

pub(crate) fn admit(
    rules: &Rules,
    request: &Request,
    headers: &Fields,
    ticket: Option<&Ticket>,
) -> Result<Guest, Box<Turned>> {
    let now_ms = now_ms();
    let target = request.get_path_with_query().unwrap_or_default();
    let path = routes::path(&target);
    if let Some(Ticket::Brings(caller)) = ticket {
        return brought(rules, caller, routes::capability(path), now_ms);
    }
    let count = if let Some(Ticket::Asks(count)) = ticket { *count } else { 1 };
    // What the front itself answers is work that was counted, or will be.
    let free = ticket.is_some() && routes::is_the_fronts(path);
    if routes::is_public(path) && matches!(request.get_method(), Method::Get | Method::Head | Method::Options) {
        return Ok(Guest { key: None, counted: None, standings: Vec::new() });
    }
    let verdict = with_stores(|stores| {
        let closed = match &stores.kept {
            Some(kept) => rules.always || keys::are_made(kept)?,
            None => rules.always,
        };
        let key = match &stores.kept {
            Some(kept) if closed => {
                let shown = shown(headers);
                Some(keys::admit(kept, shown.as_deref(), routes::capability(path), now_ms)?)
            }
            _ if closed => Some(Err(keys::Denied::Unknown)),
            _ => None,
        };
        // Who shows a good key is counted by it; everybody else, wrong keys too, by their address.
        let counted = match &key {
            Some(Ok(key)) => Some(key.counted(rules.key)),
            _ => client(headers).and_then(|client| limits::address(&client)).map(|address| (address, rules.address)),
        };
        // Wrong keys are counted everywhere.
        let free = free && !matches!(key, Some(Err(_)));
        let counted = counted.filter(|(_, limits)| limits.any() && !free);
        let standings = match (&counted, &stores.counts) {
            (Some((subject, limits)), Some(counts)) => {
                COUNTS.with_borrow_mut(|known| known.admit(counts, subject, limits, count, rules.lease, now_ms))?
            }
            _ => Ok(Vec::new()),
        };
        let name = match &key {
            Some(Ok(key)) if standings.is_err() => Some(key.name.clone()),
            Some(Err(_)) => {
                stores.kept.as_ref().and_then(|kept| shown(headers).and_then(|shown| keys::name(kept, &shown, now_ms)))
            }
            _ => None,
        };
        Ok((key.transpose(), counted, standings, name))
    });
    let (key, counted, standings, name) = verdict.map_err(|Away| Refusal::away())?;
    let standings = standings.map_err(|reached| {
        let limit = reached.standing.limit;
        let refusal = if count > limit { Refusal::larger(count, limit) } else { Refusal::reached(&reached) };
        Box::new(Turned { refusal, standings: vec![reached.standing], key: name.clone() })
    })?;
    let key =
        key.map_err(|denied| Box::new(Turned { refusal: Refusal::denied(denied), standings: Vec::new(), key: name }))?;
    Ok(Guest { key, counted, standings })
}

/// A request that was let in and counted before: whose it is must still be welcome.
fn brought(rules: &Rules, caller: &str, capability: Option<&'static str>, now_ms: u64) -> Result<Guest, Box<Turned>> {
    let verdict = with_stores(|stores| {
        let kept = stores.kept.as_ref();
        let closed = rules.always || kept.map_or(Ok(false), keys::are_made)?;
        match (caller.strip_prefix(KEY), kept) {
            (Some(hash), Some(kept)) => keys::still(kept, hash, capability, now_ms).map(|key| key.map(Some)),
            (Some(_), None) => Ok(Err(keys::Denied::Unknown)),
            (None, _) if closed => Ok(Err(keys::Denied::Missing)),
            (None, _) => Ok(Ok(None)),
        }
    });
    let key = verdict.map_err(|Away| Refusal::away())?;
    let key = key.map_err(Refusal::denied)?;
    let counted = match &key {
        Some(key) => key.counted(rules.key),
        None => (caller.to_owned(), rules.address),
    };
    let counted = Some(counted).filter(|(_, limits)| limits.any());
    Ok(Guest { key, counted, standings: Vec::new() })
}

/// What the callers begin with that showed a key; its hash follows.
const KEY: &str = "key/";

/// Who it is that comes in: the same for the same key, or for the same address where none is shown.
pub(crate) fn caller(guest: Option<&Guest>, headers: &Fields) -> String {
    match guest.and_then(|guest| guest.key.as_ref()) {
        Some(key) => format!("{KEY}{}", key.hash()),
        None => client(headers).and_then(|it| limits::address(&it)).unwrap_or_else(|| "address/unknown".to_owned()),
    }
}

impl Guest {
    /// What the answer's headers say.
    pub(crate) fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// Whether the answer's cost matters.
    pub(crate) fn pays(&self) -> bool {
        self.counted.as_ref().is_some_and(|(_, limits)| limits.after())
    }

    /// Counts what the answer has cost.
    pub(crate) fn pay(&self, usage: Usage) {
        let Some((subject, limits)) = &self.counted else { return };
        let costs = [(Unit::Tokens, limits.tokens, usage.tokens), (Unit::Pictures, limits.pictures, usage.pictures)];
        for (unit, limit, cost) in costs {
            if limit.is_some() && cost > 0 {
                // Where the store is away the answer is given all the same.
                let _ = with_stores(|stores| match &stores.counts {
                    Some(counts) => COUNTS.with_borrow_mut(|known| known.used(counts, subject, unit, cost, now_ms())),
                    None => Ok(()),
                });
            }
        }
    }
}

/// A limit as a setting; 0 and what is no number mean none.
fn limit(setting: &str) -> Option<u32> {
    Some(settings::parsed(setting, 0)).filter(|limit| *limit > 0)
}

/// The key that the client shows.
fn shown(headers: &Fields) -> Option<Vec<u8>> {
    let first = |name: &str| headers.get(name).into_iter().next();
    let bearer = first("authorization").and_then(|value| keys::bearer(&value).map(<[u8]>::to_vec));
    bearer.or_else(|| first("x-api-key").map(|key| key.trim_ascii().to_vec()))
}

/// Clients can send this header themselves; the runtime's own comes last.
fn client(headers: &Fields) -> Option<String> {
    headers.get("spin-client-addr").pop().and_then(|it| String::from_utf8(it).ok())
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
