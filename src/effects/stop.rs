//! The operator's stop: one signal that everything under way listens to.

use tokio::sync::watch;

/// Stops what listens; dropped without a stop, it stops nothing.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Tells whether a stop was asked for; cheap to clone, and it stays asked for.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A stop that was not asked for yet, and the end that asks for it.
#[must_use]
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks everything that listens to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether a stop was asked for.
    #[must_use]
    pub fn asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until a stop is asked for; for ever, when nobody is left who could.
    pub async fn wait(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
