//! Whether a program of `awk` launches something: `system`, a pipe, a function that is called by a name that it computes.

use super::options::Options;
use super::search::Search;
use super::word::Word;

const AWK: Options = Options {
    flags: "-b -c -C -g -h -I -k -M -n -N -O -P -r -s -S -t -V --characters-as-bytes --traditional --csv --posix \
            --re-interval --sandbox --optimize --no-optimize --bignum --lint --use-lc-numeric --version --help",
    values: "-F --field-separator -v --assign -f --file -E --exec -e --source -i --include -l --load",
};

impl Search {
    /// `awk PROGRAM FILE ...`. No option follows the program.
    pub(super) fn awk(&mut self, name: &str, words: &[Word]) {
        let given = match AWK.read(words) {
            Ok(given) => given,
            Err(why) => return self.not_read(name, &why),
        };
        let files: Vec<&Word> = given.values("-f --file -E --exec -i --include").collect();
        let mut parts: Vec<&Word> = given.values("-e --source").collect();
        if parts.is_empty() && !given.has("-f --file -E --exec") {
            parts.extend(given.rest.first());
        }
        self.program_files(name, &files);
        self.program_text(name, &parts, launches_nothing);
    }
}

/// Whether a program surely launches nothing. Text and regular expressions are not told from code: `/a|b/` passes only
/// where nothing is printed before it.
fn launches_nothing(program: &str) -> bool {
    let letter = |c: char| c == '_' || c.is_ascii_alphanumeric();
    let launching = ["system", "getline"];
    let mut names = program.split(|c: char| !letter(c));
    if names.any(|name| launching.contains(&name)) {
        return false;
    }
    let mut after_at = program.split('@').skip(1);
    if after_at.any(|text| {
        text.trim_start_matches(letter)
            .trim_start()
            .starts_with('(')
    }) {
        return false;
    }
    let printing = program.find("print").map(|at| &program[at..]);
    !printing.is_some_and(|text| text.replace("||", "").contains('|'))
}
