//! The programs that run a program given as text or as a file, as data.

use super::options::Options;

/// An interpreter. Given a file it runs that file; else it reads its program from an option or its standard input.
#[derive(Debug)]
pub(super) struct Interpreter {
    /// What it is called, without a version.
    pub(super) names: &'static str,
    /// Its options, those with a program in them included.
    pub(super) options: Options,
    /// Options that mean that the program is given in the command itself, or that it is asked for line by line.
    pub(super) inline: &'static str,
    /// Options that name what is run, as a module or a file, or that run nothing.
    pub(super) named: &'static str,
}

/// The shells whose language the parser reads.
pub(super) const SHELLS: &str = "sh bash dash zsh ksh mksh ash rbash yash";

/// The options of those shells. `-c` is no option with a value: the line is the first word after all options.
pub(super) const SHELL_OPTIONS: Options = Options {
    flags: "-a -b -c -e -f -h -i -k -l -m -n -p -r -s -t -u -v -x -B -C -D -E -H -P -T --login --norc --noprofile \
            --posix --restricted --verbose --version --help --noediting --debugger",
    values: "-o -O --rcfile --init-file",
};

/// Every other interpreter.
pub(super) const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        names: "python pypy ipython",
        options: Options {
            flags: "-b -B -d -E -h -i -I -O -OO -P -q -R -s -S -u -v -V -x --help --version",
            values: "-c -m -W -X --check-hash-based-pycs",
        },
        inline: "-c -i",
        named: "-m -V -h --help --version",
    },
    Interpreter {
        names: "perl",
        options: Options {
            flags: "-a -c -n -p -s -S -t -T -u -U -v -V -w -W -X -f -l -0 -i -h",
            values: "-e -E -F -I -m -M -C -D -x",
        },
        inline: "-e -E",
        named: "-v -V -h",
    },
    Interpreter {
        names: "ruby irb jruby",
        options: Options {
            flags: "-a -c -d -l -n -p -s -S -v -w -W -y -h --version --help --verbose --debug --yjit",
            values: "-e -C -E -F -I -i -K -r -T -x --enable --disable --encoding",
        },
        inline: "-e",
        named: "-h --version --help",
    },
    Interpreter {
        names: "node nodejs",
        options: Options {
            flags: "-c -h -i -v --check --help --interactive --version --no-warnings --trace-warnings \
                    --enable-source-maps --experimental-strip-types --inspect --inspect-brk --test --watch",
            values: "-e -p -r --eval --print --require --import --env-file --max-old-space-size --loader",
        },
        inline: "-e -p -i --eval --print --interactive",
        named: "-h -v --help --version",
    },
    Interpreter {
        names: "php",
        options: Options {
            flags: "-a -C -h -i -l -m -n -q -s -v -w",
            values: "-B -c -d -E -f -F -r -R -S -t -z",
        },
        inline: "-a -B -E -r -R",
        named: "-f -h -i -m -v -S -F",
    },
    Interpreter {
        names: "lua luajit",
        options: Options {
            flags: "-i -v -E -W",
            values: "-e -l",
        },
        inline: "-e -i",
        named: "-v",
    },
    Interpreter {
        names: "osascript tclsh Rscript groovy deno",
        options: Options {
            flags: "--version --help --vanilla",
            values: "-e -l",
        },
        inline: "-e",
        named: "--version --help",
    },
];

/// The name of a program without its version: `python` for `python3.12`.
pub(super) fn without_version(name: &str) -> &str {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    if bare.is_empty() { name } else { bare }
}
