//! Spawned work has an owner: it is counted, and shutting down waits for it.

use tokio_util::task::TaskTracker;

#[derive(Clone, Default)]
pub struct Tasks(TaskTracker);

impl Tasks {
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(work);
    }

    /// Ends when everything spawned so far and meanwhile has ended.
    pub async fn ended(&self) {
        self.0.close();
        self.0.wait().await;
    }
}
