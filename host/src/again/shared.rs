//! What is kept under `Idempotency-Key` where several hosts share a Redis: who works on it, and what came of it.
//!
//! Whoever comes first holds the key while it works, and says again and again that it does; at another host the same
//! request waits for that answer. Without Redis each host knows what it has seen itself.

use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::Value;
use tokio::runtime::Handle;

use super::{Key, Limits};
use crate::error::Refusal;
use crate::inside::{self, Kept};
use crate::jobs::{answer_bytes, read_answer};
use crate::redis_link::{Address, Link};
use crate::shelf::hex;

/// In one slot of a cluster.
const PREFIX: &str = "hybrid-ai:{again}:";
/// A host that has not been heard of for so long works on it no more.
const LEASE: Duration = Duration::from_secs(15);
/// How often a host asks whether another has the answer.
const LOOK: Duration = Duration::from_millis(100);

/// KEYS: a key's hash. Gives `begins`, `runs`, `other`, or `kept` and the answer.
const TURN: &str = "
local known = redis.call('HMGET', KEYS[1], 'print', 'holder', 'answer')
if known[1] and known[1] ~= ARGV[1] then return {'other', ''} end
if known[3] then return {'kept', known[3]} end
if known[2] then return {'runs', ''} end
redis.call('HSET', KEYS[1], 'print', ARGV[1], 'holder', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'begins', ''}";

const RENEW: &str = "
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1";

/// Keeps an answer, or nothing where there is none; the oldest give way. KEYS: a key's hash, and what all of them take up:
/// by end, by size, and together.
const KEEP: &str = "
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
local bytes, most, keep = #ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if bytes == 0 or bytes > most then return redis.call('DEL', KEYS[1]) end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function forget(name)
  local size = tonumber(redis.call('HGET', KEYS[3], name) or 0)
  redis.call('ZREM', KEYS[2], name)
  redis.call('HDEL', KEYS[3], name)
  redis.call('DECRBY', KEYS[4], size)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now), 'LIMIT', 0, 100)) do
  forget(name)
end
while tonumber(redis.call('GET', KEYS[4]) or 0) + bytes > most do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not oldest then break end
  redis.call('DEL', oldest)
  forget(oldest)
end
forget(KEYS[1])
redis.call('HDEL', KEYS[1], 'holder')
redis.call('HSET', KEYS[1], 'answer', ARGV[2])
redis.call('PEXPIRE', KEYS[1], keep)
redis.call('ZADD', KEYS[2], string.format('%.0f', now + keep), KEYS[1])
redis.call('HSET', KEYS[3], KEYS[1], bytes)
redis.call('INCRBY', KEYS[4], bytes)
return 1";

/// Lives as long as the server.
pub struct Shared {
    link: Link,
}

/// What a host is to do about a request with a key.
pub enum Turn {
    /// It is this host's to work on; the answer is then told to [`Shared::keep`].
    Mine(Hold),
    Kept(Kept),
    Refused(Refusal),
    /// Nobody can be asked.
    Alone,
}

/// A key, held.
pub struct Hold {
    name: String,
    holder: String,
}

impl Shared {
    pub fn new(address: &Address, runtime: Handle) -> anyhow::Result<Self> {
        Ok(Self { link: Link::new(address.client()?, runtime) })
    }

    /// Waits for another host that works on the same, at most so long.
    pub async fn turn(&self, key: &Key, most: Duration) -> Turn {
        let (name, holder, began) = (format!("{PREFIX}{}", hex(&key.name)), inside::random_id(), Instant::now());
        while began.elapsed() < most {
            let mut pipe = redis::pipe();
            pipe.cmd("EVAL").arg(TURN).arg(1).arg(&name);
            pipe.arg(hex(&key.print)).arg(&holder).arg(millis(LEASE));
            let answered = self.link.ask::<((String, Vec<u8>),)>(pipe, 0).await;
            let Ok(((word, answer),)) = answered else { return Turn::Alone };
            match word.as_str() {
                "begins" => return Turn::Mine(Hold { name, holder }),
                "other" => return Turn::Refused(Refusal::OtherRequest),
                "kept" => {
                    // What cannot be read is from another version: it is worked on here.
                    return read_answer(&Bytes::from(answer)).map_or(Turn::Alone, Turn::Kept);
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        }
        Turn::Refused(Refusal::Timeout)
    }

    /// Holds the key for as long as this is polled.
    pub async fn hold(&self, hold: &Hold) {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            let mut pipe = redis::pipe();
            pipe.cmd("EVAL").arg(RENEW).arg(1).arg(&hold.name).arg(&hold.holder).arg(millis(LEASE));
            // The next time, then.
            let _ = self.link.ask::<Value>(pipe, 0).await;
        }
    }

    /// Keeps an answer for all hosts, where it is one that is kept and not too large. Otherwise the key is free again.
    pub async fn keep(&self, hold: &Hold, kept: Option<&Kept>, limits: &Limits) {
        let fits = |kept: &&Kept| kept.body.len() as u64 <= limits.shared_answer_bytes;
        let answer = kept.filter(fits).map(answer_bytes).unwrap_or_default();
        let bytes = answer.len();
        let mut pipe = redis::pipe();
        pipe.cmd("EVAL").arg(KEEP).arg(4).arg(&hold.name);
        pipe.arg(format!("{PREFIX}ends")).arg(format!("{PREFIX}sizes")).arg(format!("{PREFIX}bytes"));
        pipe.arg(&hold.holder).arg(answer).arg(limits.bytes).arg(limits.keep_s.saturating_mul(1000));
        // Unkept it is worked on again, as after a failure.
        let _ = self.link.ask::<Value>(pipe, bytes).await;
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
