//! Threads and processes that give way to those that serve.

/// A tenth of a core where those leave no more: enough to get through, and too little for others to notice.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Turns of this length, in nanoseconds, are longer than those of any thread that is not told otherwise. Whoever wakes up
/// for shorter ones comes before a longer one is over (Linux 6.12): priority alone has it wait for up to a turn and the
/// kernel's next tick, 4 ms, most of all beside what touches fresh memory.
#[cfg(target_os = "linux")]
const LONG_TURN_NS: u64 = 10_000_000;

/// The calling thread, and those it starts, give way in priority and in turn. There is no way back.
#[cfg(target_os = "linux")]
pub fn give_way() {
    // On Linux it is the thread's own.
    let nice = rustix::process::nice(NICE).unwrap_or_default();
    take_long_turns(nice);
}

/// The calling thread, and those it starts, are as good as others, but interrupted by whoever wakes up.
#[cfg(target_os = "linux")]
pub fn give_turns() {
    take_long_turns(0);
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "nobody wraps this call")]
fn take_long_turns(nice: i32) {
    let size = size_of::<libc::sched_attr>();
    let wanted = libc::sched_attr {
        size: u32::try_from(size).unwrap_or_default(),
        sched_policy: libc::SCHED_OTHER.cast_unsigned(),
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: LONG_TURN_NS,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of a structure that outlives the call. Kernels that know no turns take no notice.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) };
}

#[cfg(not(target_os = "linux"))]
pub fn give_way() {}

#[cfg(not(target_os = "linux"))]
pub fn give_turns() {}
