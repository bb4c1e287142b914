//! Work of loading spread over threads, with its results in order.

use std::{
    panic::resume_unwind,
    sync::{Mutex, PoisonError},
    thread,
};

/// Does `work` on every job, on at most `threads` threads, the calling one among them. Jobs are begun in their order,
/// each as soon as a thread is free; results are in the order of jobs, so that they are the same for any number.
pub(crate) fn map<T: Send, R: Send>(
    threads: usize,
    jobs: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = threads.min(jobs.len());
    if threads < 2 {
        return jobs.into_iter().map(work).collect();
    }
    let queue = Mutex::new(jobs.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let share = || {
        let mut done = Vec::new();
        while let Some((number, job)) = next() {
            done.push((number, work(job)));
        }
        done
    };
    thread::scope(|scope| {
        // A system that gives no further thread has the work done by those there are.
        let spawn = || thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, share);
        let helpers: Vec<_> = (1..threads).map_while(|_| spawn().ok()).collect();
        let mut done = share();
        for helper in helpers {
            done.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done.sort_unstable_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, result)| result).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn results_are_in_the_order_of_jobs() {
        let jobs: Vec<u64> = (0..500).collect();
        let wanted: Vec<u64> = jobs.iter().map(|job| job * job).collect();
        for threads in [0, 1, 2, 7, 900] {
            // The first jobs take longest, so that later ones are done before them.
            let work = |job: u64| {
                (0..(500 - job) * 50).fold(job * job, |sum, _| std::hint::black_box(sum))
            };
            assert_eq!(map(threads, jobs.clone(), work), wanted, "{threads}");
        }
        assert!(map(4, Vec::<u64>::new(), |job| job).is_empty());
    }

    #[test]
    fn a_panic_of_a_helper_is_one_of_the_caller() {
        let caught = std::panic::catch_unwind(|| map(3, vec![1, 2, 3], |job| assert_ne!(job, 3)));
        assert!(caught.is_err());
    }
}
