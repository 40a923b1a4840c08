//! What `kubectl` and `oc` launch in a container.

use super::behind::lists;
use super::launch::Feed;
use super::options::Options;
use super::search::Search;
use super::word::{Becomes, Sight, Word};

/// The options that may stand before the verb.
const BEFORE: Options = Options {
    flags: "-h --help --version --insecure-skip-tls-verify --match-server-version --warnings-as-errors \
            --disable-compression",
    values: "-n --namespace -s --server -v --v --as --as-group --as-uid --as-user-extra --cache-dir \
             --certificate-authority --client-certificate --client-key --cluster --context --kubeconfig --kuberc \
             --log-flush-frequency --password --profile --profile-output --request-timeout --tls-server-name --token \
             --user --username --vmodule",
};

impl Search {
    /// `kubectl exec POD -- PROGRAM ...`. Whatever the verb is, what follows `--` is searched: of a plugin, or of a verb
    /// that only running it tells, nobody knows here whether it launches that.
    pub(super) fn pod(&mut self, name: &str, words: &[Word], feed: &Feed) {
        let has = |verb: &str| words.iter().any(|w| w.text() == Some(verb));
        let spreads = |w: &Word| w.becomes() != Becomes::One;
        if let Some(at) = words.iter().position(|w| w.text() == Some("--")) {
            if let Some(word) = words[..at].iter().find(|w| spreads(w)) {
                self.doubt(format!(
                    "whether what `{name}` launches begins with `{}` is not known until it runs",
                    word.glob()
                ));
            }
            if (has("exec") || has("rsh")) && operands(&words[..at]) > 2 {
                self.doubt(format!("`{name}` may launch what stands before its `--`"));
            }
            return self.words(&words[at + 1..], feed);
        }
        if has("exec") || has("rsh") {
            return self.doubt(format!(
                "`{name}` is not told with `--` where what it launches begins"
            ));
        }
        let launches = ["debug", "run", "create"].into_iter().any(has);
        let verb = match BEFORE.read(words) {
            Ok(given) => given.rest.first(),
            // Options that are not known stand before any word, so each of them may be the verb.
            Err(_) => words.iter().find(|w| w.text().is_none()),
        };
        if verb.is_some_and(|w| w.text().is_none()) || launches && words.iter().any(spreads) {
            self.doubt(format!(
                "what `{name}` is told to do is not known until it runs"
            ));
        }
    }
}

/// How many words are neither options nor values of options: the verb, the pod, and what an older `kubectl` launches.
fn operands(words: &[Word]) -> usize {
    let flags = "-i -t -it -ti -q --stdin --tty --quiet";
    let takes_next = |w: &Word| {
        let text = w.text().unwrap_or_default();
        text.starts_with('-') && !text.contains('=') && !lists(flags, text)
    };
    let is_option = |w: &Word| w.is_option(Sight::Surely);
    let places = (0..words.len()).filter(|&i| !is_option(&words[i]));
    places
        .filter(|&i| i == 0 || !takes_next(&words[i - 1]))
        .count()
}
