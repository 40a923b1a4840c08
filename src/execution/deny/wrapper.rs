//! The programs whose business is to launch another, as data.

use super::options::Options;

/// A program that launches another one.
#[derive(Debug)]
pub(super) struct Wrapper {
    /// What it is called.
    pub(super) names: &'static str,
    /// The subcommands that it has to be given, in order; none where it launches without.
    pub(super) path: &'static [&'static str],
    /// Options that may stand before each subcommand.
    pub(super) before: Options,
    /// Its own options, or those of the last subcommand.
    pub(super) options: Options,
    /// Options whose value is a line for a shell.
    pub(super) lines: &'static str,
    /// How many words stand between the options and what is launched: a host, a duration.
    pub(super) operands: usize,
    /// What follows them.
    pub(super) then: Then,
    /// What it does where nothing follows.
    pub(super) alone: Alone,
}

/// What a wrapper makes of the words that it launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// They are the program's words.
    Words,
    /// Joined by spaces they are a line for a shell.
    Line,
    /// They are the program's words, and more are added that nobody knows yet.
    WordsAndMore,
}

/// What a wrapper does with nothing to launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// Nothing that a pattern is about.
    Nothing,
    /// It opens a shell, or reads what to launch.
    Shell,
}

const NONE: Options = Options {
    flags: "",
    values: "",
};

const PLAIN: Wrapper = Wrapper {
    names: "",
    path: &[],
    before: NONE,
    options: NONE,
    lines: "",
    operands: 0,
    then: Then::Words,
    alone: Alone::Nothing,
};

const CONTAINER: Options = Options {
    flags: "-D --debug --tls --tlsverify --remote --all-resources --compatibility --dry-run",
    values: "-H --host -c --context --config -l --log-level --connection --url --identity --namespace -n -f --file -p \
             --project-name --profile --project-directory --env-file --ansi --parallel --progress",
};

/// Every wrapper; of those with subcommands, only the subcommands that launch.
pub(super) const WRAPPERS: &[Wrapper] = &[
    Wrapper {
        names: "sudo",
        options: Options {
            flags: "-A -b -B -E -e -H -h -i -K -k -l -N -n -P -S -s -V -v --askpass --background --bell --preserve-env \
                    --set-home --help --login --remove-timestamp --reset-timestamp --list --no-update \
                    --non-interactive --preserve-groups --stdin --shell --version --validate",
            values: "-C -D -g -p -R -r -T -t -U -u --close-from --chdir --group --host --prompt --chroot --role \
                     --command-timeout --type --other-user --user",
        },
        ..PLAIN
    },
    Wrapper {
        names: "doas",
        options: Options {
            flags: "-L -n -s",
            values: "-a -C -u",
        },
        ..PLAIN
    },
    Wrapper {
        names: "pkexec",
        options: Options {
            flags: "--disable-internal-agent --keep-cwd",
            values: "-u --user",
        },
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "env",
        options: Options {
            flags: "-i - -0 -v --ignore-environment --null --debug --list-signal-handling --block-signal \
                    --default-signal --ignore-signal --help --version",
            values: "-u --unset -C --chdir -P -a --argv0 -S --split-string",
        },
        ..PLAIN
    },
    Wrapper {
        names: "time",
        options: Options {
            flags: "-a -p -q -v -V -l --append --portability --quiet --verbose --version",
            values: "-f -o --format --output",
        },
        ..PLAIN
    },
    Wrapper {
        names: "nice",
        options: Options {
            flags: "-# --help --version",
            values: "-n --adjustment",
        },
        ..PLAIN
    },
    Wrapper {
        names: "ionice",
        options: Options {
            flags: "-t --ignore",
            values: "-c --class -n --classdata -p --pid -P -u",
        },
        ..PLAIN
    },
    Wrapper {
        names: "chrt",
        options: Options {
            flags: "-b -d -f -i -o -r -R -a -m -v --batch --deadline --fifo --idle --other --rr --reset-on-fork",
            values: "-T -P -D -p",
        },
        operands: 1,
        ..PLAIN
    },
    Wrapper {
        names: "taskset",
        options: Options {
            flags: "-a -c --all-tasks --cpu-list",
            values: "-p --pid",
        },
        operands: 1,
        ..PLAIN
    },
    Wrapper {
        names: "nohup builtin chronic unbuffer busybox toybox catchsegv",
        ..PLAIN
    },
    Wrapper {
        names: "command",
        options: Options {
            flags: "-p -v -V",
            values: "",
        },
        ..PLAIN
    },
    Wrapper {
        names: "exec",
        options: Options {
            flags: "-c -l",
            values: "-a",
        },
        ..PLAIN
    },
    Wrapper {
        names: "setsid",
        options: Options {
            flags: "-c -f -w --ctty --fork --wait",
            values: "",
        },
        ..PLAIN
    },
    Wrapper {
        names: "stdbuf",
        options: Options {
            flags: "",
            values: "-i -o -e --input --output --error",
        },
        ..PLAIN
    },
    Wrapper {
        names: "timeout gtimeout",
        options: Options {
            flags: "-f -p -v --foreground --preserve-status --verbose",
            values: "-k -s --kill-after --signal",
        },
        operands: 1,
        ..PLAIN
    },
    Wrapper {
        names: "xargs gxargs",
        options: Options {
            flags: "-0 -o -p -r -t -x --null --open-tty --interactive --no-run-if-empty --verbose --exit --show-limits",
            values: "-a -d -E -I -i -J -L -n -P -R -S -s --arg-file --delimiter --eof --replace --max-lines --max-args \
                     --max-procs --max-chars --process-slot-var",
        },
        then: Then::WordsAndMore,
        ..PLAIN
    },
    Wrapper {
        names: "parallel",
        options: Options {
            flags: "-0 -k -t -v -q -X -m --null --keep-order --verbose --quote --dry-run --bar --eta --progress \
                    --line-buffer --lb --ungroup -u --group --tag --no-notice --will-cite --pipe --halt-on-error",
            values: "-j --jobs -P --max-procs -a --arg-file -N -n --max-args -L -I --delay --timeout --retries \
                     --joblog --halt --colsep -C -d --delimiter",
        },
        then: Then::WordsAndMore,
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "watch",
        options: Options {
            flags: "-b -c -C -d -e -f -g -p -r -t -w -x --beep --color --no-color --differences --errexit --follow \
                    --chgexit --precise --no-rerun --no-title --no-wrap --exec",
            values: "-n -q --interval --equexit",
        },
        then: Then::Line,
        ..PLAIN
    },
    Wrapper {
        names: "flock",
        options: Options {
            flags: "-s -x -e -u -n -o -F --shared --exclusive --unlock --nonblock --nb --close --no-fork --verbose",
            values: "-w --wait --timeout -E --conflict-exit-code -c --command",
        },
        lines: "-c --command",
        operands: 1,
        ..PLAIN
    },
    Wrapper {
        names: "gosu su-exec setuidgid chpst",
        operands: 1,
        ..PLAIN
    },
    Wrapper {
        names: "chroot",
        options: Options {
            flags: "--skip-chdir",
            values: "--userspec --groups -u -g -G",
        },
        operands: 1,
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "nsenter",
        options: Options {
            flags: "-a -m -u -i -n -p -U -C -T -r -w -F -e -Z --all --mount --uts --ipc --net --pid --user --cgroup \
                    --time --root --wd --no-fork --preserve-credentials --follow-context --env --keep-caps \
                    --join-cgroup",
            values: "-t --target -S --setuid -G --setgid -W --wdns",
        },
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "unshare",
        options: Options {
            flags: "-m -u -i -n -p -U -C -T -f -r -c --mount --uts --ipc --net --pid --user --cgroup --time --fork \
                    --map-root-user --map-current-user --mount-proc --kill-child --keep-caps",
            values: "-R --root -w --wd -S --setuid -G --setgid --propagation --setgroups",
        },
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "systemd-run",
        options: Options {
            flags: "-P -q -r -t -d -S -G --scope --user --system --pty --pipe --quiet --remain-after-exit --wait \
                    --same-dir --collect --no-block --shell --no-ask-password",
            values: "-u --unit -p --property -M --machine -H --host --uid --gid --nice -E --setenv --slice \
                     --description --working-directory --on-active --on-boot --on-calendar --service-type",
        },
        ..PLAIN
    },
    Wrapper {
        names: "strace ltrace",
        options: Options {
            flags: "-f -ff -q -qq -t -tt -ttt -T -v -x -y -c -C -d -i -r -k -D -w",
            values: "-e -o -p -s -u -E -P -S -a -b -I -O",
        },
        ..PLAIN
    },
    Wrapper {
        names: "ssh autossh",
        options: Options {
            flags: "-4 -6 -A -a -C -f -G -g -K -k -M -N -n -q -s -T -t -V -v -X -x -Y -y",
            values: "-B -b -c -D -E -e -F -I -i -J -L -l -m -O -o -P -p -Q -R -S -W -w",
        },
        operands: 1,
        then: Then::Line,
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "sshpass",
        options: Options {
            flags: "-e -v -V -h",
            values: "-f -d -p -P",
        },
        ..PLAIN
    },
    Wrapper {
        names: "docker podman nerdctl",
        path: &["exec"],
        before: CONTAINER,
        options: Options {
            flags: "-d -i -t --detach --interactive --tty --privileged --latest -l",
            values: "-e -u -w --env --env-file --user --workdir --detach-keys",
        },
        operands: 1,
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "docker podman nerdctl",
        path: &["container", "exec"],
        before: CONTAINER,
        options: Options {
            flags: "-d -i -t --detach --interactive --tty --privileged --latest -l",
            values: "-e -u -w --env --env-file --user --workdir --detach-keys",
        },
        operands: 1,
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "docker podman nerdctl",
        path: &["run"],
        before: CONTAINER,
        options: Options {
            flags: "-d -i -t -P -q --detach --interactive --tty --rm --init --privileged --read-only --publish-all \
                    --no-healthcheck --quiet --sig-proxy --oom-kill-disable",
            values: "-a -c -e -h -l -m -p -u -v -w --add-host --cap-add --cap-drop --cgroupns --cpus --device --dns \
                     --env --env-file --expose --gpus --hostname --ip --ipc --label --label-file --link --log-driver \
                     --log-opt --mac-address --memory --memory-swap --mount --name --network --net --network-alias \
                     --pid --pids-limit --platform --publish --pull --restart --runtime --security-opt --shm-size \
                     --stop-signal --stop-timeout --tmpfs --ulimit --user --userns --uts --volume --volumes-from \
                     --workdir",
        },
        operands: 1,
        ..PLAIN
    },
    Wrapper {
        names: "docker podman nerdctl",
        path: &["compose", "exec"],
        before: CONTAINER,
        options: Options {
            flags: "-d -T -i -t --detach --no-TTY --interactive --privileged --dry-run",
            values: "-e -u -w --env --user --workdir --index",
        },
        operands: 1,
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "docker-compose podman-compose",
        path: &["exec"],
        before: CONTAINER,
        options: Options {
            flags: "-d -T -i -t --detach --no-TTY --interactive --privileged --dry-run",
            values: "-e -u -w --env --user --workdir --index",
        },
        operands: 1,
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "docker podman nerdctl",
        path: &["compose", "run"],
        before: CONTAINER,
        options: Options {
            flags: "-d -T -i -t -P -q --detach --no-TTY --interactive --rm --build --no-deps --service-ports \
                    --use-aliases --remove-orphans --quiet-pull",
            values: "-e -l -p -u -v -w --env --entrypoint --label --name --publish --user --volume --workdir",
        },
        operands: 1,
        ..PLAIN
    },
    Wrapper {
        names: "nomad",
        path: &["exec"],
        options: Options {
            flags: "-job -i -t -i=false -t=false",
            values: "-task -e -address -region -namespace -token",
        },
        operands: 1,
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "nomad",
        path: &["alloc", "exec"],
        options: Options {
            flags: "-job -i -t",
            values: "-task -e -address -region -namespace -token",
        },
        operands: 1,
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "fly flyctl",
        path: &["ssh", "console"],
        options: Options {
            flags: "-s --select --pty -q --quiet",
            values: "-a --app -C --command -c --config -g --process-group -r --region -o --org -u --user --machine \
                     --address --container",
        },
        lines: "-C --command",
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "heroku",
        path: &["run"],
        options: Options {
            flags: "-x --exit-code --no-tty --no-notify --no-launcher",
            values: "-a --app -e --env -r --remote -s --size --type",
        },
        then: Then::Line,
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "npx bunx uvx",
        options: Options {
            flags: "-y -n -q --yes --no --no-install --quiet --prefer-offline --bun",
            values: "-p --package -c --call --from --with --python",
        },
        lines: "-c --call",
        ..PLAIN
    },
    Wrapper {
        names: "pnpm",
        path: &["dlx"],
        ..PLAIN
    },
    Wrapper {
        names: "pnpm yarn npm bun",
        path: &["exec"],
        ..PLAIN
    },
    Wrapper {
        names: "yarn",
        path: &["dlx"],
        ..PLAIN
    },
    Wrapper {
        names: "bun",
        path: &["x"],
        ..PLAIN
    },
    Wrapper {
        names: "pipx poetry pipenv uv",
        path: &["run"],
        ..PLAIN
    },
    Wrapper {
        names: "aws-vault",
        path: &["exec"],
        options: Options {
            flags: "-n -s -j --no-session --server --json --ecs-server --lazy",
            values: "-d --duration --region -t --mfa-token --backend --prompt",
        },
        operands: 1,
        alone: Alone::Shell,
        ..PLAIN
    },
    Wrapper {
        names: "op doppler",
        path: &["run"],
        ..PLAIN
    },
];

/// Programs that launch what they read elsewhere: a pattern cannot see it.
pub(super) const HIDDEN: &str = "at batch tmux screen expect alias fc crontab fish pwsh powershell nu xonsh elvish csh tcsh \
                                 mosh script rsh";

/// The options of `su` and `runuser`, which may stand after the name of the user too.
pub(super) const USER: Options = Options {
    flags: "-l -m -p -P -f --login --preserve-environment --pty --no-pty --fast",
    values: "-c --command -g --group -G --supp-group -s --shell -T -u --user -w --whitelist-environment \
             --session-command",
};

/// Those of them whose value is a line for a shell.
pub(super) const USER_LINES: &str = "-c --command --session-command";
