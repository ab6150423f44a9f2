package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// unreachableRedis sets the address of a Redis that cannot be reached, because no process
// listens on port 1.
const unreachableRedis = "TUMA_REDIS_URL=redis://user:letmein@127.0.0.1:1/0"

func TestUsage_MistakeIsOneLineAndExit2(t *testing.T) {
	t.Parallel()
	c := newCLI(t, koboYAML, unreachableRedis)
	numbers := c.file("numbers.csv", "phone\n0712345678\n")
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"sned"}, `unknown command "sned"; did you mean send? (see tuma --help)`},
		{[]string{"fax"}, `unknown command "fax"; commands: accounts, `},
		{[]string{"help", "sned"}, `unknown command "sned"; did you mean send? (see tuma --help)`},
		{[]string{"help", "optout", "ad"}, `unknown command "ad"; did you mean add? (see tuma optout --help)`},
		{[]string{"send"}, `--body is required: the text of the message (see tuma send --help)`},
		{[]string{"send", "--body"}, `--body needs a value: --body text (see tuma send --help)`},
		{[]string{"send", "--body", "x", "--bogus"}, "unknown flag --bogus (see tuma send --help)"},
		{[]string{"send", "--bodi", "x"}, "unknown flag --bodi; did you mean --body? (see tuma send --help)"},
		{[]string{"send", "-x"}, "unknown flag -x (see tuma send --help)"},
		{[]string{"send", "--body", "x", "stray.csv"}, `unexpected argument "stray.csv" (see tuma send --help)`},
		{[]string{"send", "--body", "x", "--file", "not-there.csv"}, "file not-there.csv does not exist"},
		{[]string{"send", "--body", "x", "--file", c.dir}, "is a directory; a file of recipients is required"},
		{[]string{"send", "--body", "x", "--file", numbers, "--start-at", "tomorrow"}, `--start-at: "tomorrow": must have a time of day, e.g. tomorrow 08:00`},
		{[]string{"send", "--body", "x", "--file", numbers, "--start-at", "in 2h", "--expires-at", "in 3h"}, `use a date, or --expires-in, which counts from the start`},
		{[]string{"send", "--body", "x", "--file", numbers, "--expires-at", "now"}, `--expires-at: "now" expires the campaign at once`},
		{[]string{"send", "--body", "x", "--file", numbers, "--expires-at", "in 2h", "--expires-in", "3h"}, `--expires-at and --expires-in both set the expiry`},
		{[]string{"send", "--body", "x", "--file", numbers, "--start-at", "08:00", "--zone", "EAT+3"}, `--zone: unknown time zone "EAT+3"`},
		{[]string{"send", "--body", "x", "--file", numbers, "--start-at", "2027-03-28 02:30", "--zone", "Europe/Berlin"}, `02:30 does not exist on 2027-03-28 in Europe/Berlin`},
		{[]string{"send", "--body", "x", "--file", numbers, "--expires-at", "1"}, `--expires-at: "1": 1 may be in the morning or in the evening: write the minutes too`},
		{[]string{"send", "--body", "x", "--file", numbers, "--expires-in", "-1h"}, `--expires-in: "-1h" must be a duration, e.g. 90m`},
		{[]string{"send", "--body", "x", "--file", numbers, "--country", "Kenya"}, `--country: unknown country "KENYA"`},
		{[]string{"send", "--body", "x", "--file", numbers, "--id", "a", "--again"}, "--again works only without --id"},
		{[]string{"send", "--body", "x", "--file", numbers, "--dry-run", "--wait"}, "--wait cannot be used with --dry-run"},
		{[]string{"send", "--body", "x", "--file", numbers, "--dry-run", "--test", "0712345678"}, "--test cannot be used with --dry-run"},
		{[]string{"send", "--body", "x", "--file", numbers, "--test", ""}, "--test must not be empty"},
		{[]string{"send", "--body", "x", "--file", numbers, "--max-rejected", "0"}, `--max-rejected: "0" must be a percentage above 0`},
		{[]string{"send", "--body", "x", "--file", numbers, "--max-rejected", "150%"}, `--max-rejected: "150%" must be a percentage`},
		{[]string{"send", "--body", "x", "--file", numbers, "--max-rejected", "NaN"}, `--max-rejected: "NaN" must be a percentage`},
		{[]string{"send", "--canary", "abc"}, `--canary: "abc" must be an integer, e.g. 1000`},
		{[]string{"send", "--canary", "1,000"}, `--canary: "1,000" must be an integer`},
		{[]string{"send", "--max-messages", "2.5"}, `--max-messages: "2.5" must be an integer`},
		{[]string{"send", "--max-segments", "99999999999999999999"}, `--max-segments: "99999999999999999999" is out of range; must be an integer`},
		{[]string{"send", "--body", "x", "--file", numbers, "--max-rejected", "some"}, `--max-rejected: "some" must be a percentage`},
		{[]string{"send", "--require-credit=maybe"}, `--require-credit: "maybe" must be true or false (the flag alone means true)`},
		{[]string{"results", "a", "--after", "x"}, `--after: "x" must be an integer, e.g. 1000`},
		{[]string{"sandbox", "--latency", "fast"}, `--latency: "fast" must be a duration, e.g. 250ms`},
		{[]string{"rate", "k", "fast"}, `rate "fast" must be like 50/s or 600/m`},
		{[]string{"status"}, "ID is missing; usage: tuma status ID [flags] (see tuma status --help)"},
		{[]string{"status", "a", "b"}, `unexpected argument "b" (see tuma status --help)`},
		{[]string{"status", "a b"}, `invalid campaign ID "a b": use 1 to 128 characters from A-Z`},
		{[]string{"results", "a", "--format", "xml"}, `--format: "xml" must be csv, jsonl or xlsx`},
		{[]string{"retry", "a"}, "--unknown or --rejected is required"},
		{[]string{"hold", "k", "--reason", "two words"}, `--reason: "two words" must be one word`},
		{[]string{"worker", "--log-level", "loud"}, `--log-level: "loud" must be`},
		{[]string{"worker", "--log-format", "xml"}, `--log-format: "xml" must be`},
		{[]string{"worker", "--accounts", "zz"}, `has no account "zz"; its accounts: k`},
		{[]string{"gateway", "fax"}, `unknown command "fax"; commands: africastalking, balance, connectmedia, inbox, reports, status, textconnect`},
		{[]string{"gateway", "inbox", "k"}, "provider kobo does not support received messages"},
		{[]string{"gateway", "reports", "k"}, "account k: provider kobo does not support reports"},
		{[]string{"gateway", "status", "k"}, "ACCOUNT and MESSAGE_ID are required"},
		{[]string{"balance", "zz"}, `has no account "zz"`},
		{[]string{"balance", "k", "z"}, `unexpected argument "z" (see tuma balance --help)`},
		{[]string{"optout", "add"}, "no numbers given: pass numbers as arguments, or a file with --file"},
	}
	for _, tt := range tests {
		out, errOut, exit := c.run(tt.args...)
		if exit != exitMisuse || out != "" || strings.Count(errOut, "\n") != 1 || !strings.HasPrefix(errOut, "tuma: ") || !strings.Contains(errOut, tt.want) {
			t.Errorf("tuma %s: got exit %d, standard error %q and output %s; want exit 2, one line with %q and no output", strings.Join(tt.args, " "), exit, errOut, out, tt.want)
		}
	}
}

func TestUsage_RedisDownIsOneLineWithoutThePassword(t *testing.T) {
	t.Parallel()
	c := newCLI(t, koboYAML, unreachableRedis)
	numbers := c.file("numbers.csv", "0712345678\n")
	for _, args := range [][]string{{"list"}, {"status", "a"}, {"results", "a"}, {"pause", "a"}, {"accounts"}, {"hold", "k"}, {"worker", "--wait-redis=false"},
		{"send", "--via", "k", "--body", "x", "--file", numbers}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			out, errOut, exit := c.run(args...)
			if exit != exitFailed || out != "" || strings.Count(errOut, "\n") != 1 || strings.Contains(errOut, "letmein") ||
				!strings.Contains(errOut, "cannot reach Redis at redis://127.0.0.1:1/0 (TUMA_REDIS_URL): ") {
				t.Errorf("got exit %d and output %s%s, want exit 1 and one line without the password", exit, errOut, out)
			}
		})
	}
}

func TestSend_UnfitRedisIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		option redistest.Option
		why    string
		sends  bool
	}{
		"evicts":   {redistest.WithConfig("appendonly", "yes", "maxmemory-policy", "allkeys-lru"), "allkeys-lru", false},
		"no AOF":   {redistest.WithConfig("appendonly", "no"), "append-only", true},
		"password": {redistest.WithPassword("letmein"), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newFixture(t, simulator.Options{}, tt.option)
			if tt.why == "" {
				h.env = append(h.env, "TUMA_REDIS_URL=redis://"+h.redis.Addr())
				for _, args := range [][]string{{"list"}, {"optout", "list"}, {"optout", "add", "0712345678"}, {"check"}, {"send", "--via", "kobo-main", "--body", "x"},
					{"worker", "--accounts", "kobo-main"}, {"worker", "--accounts", "kobo-main", "--wait-redis=false"}} {
					_, errOut, exit := h.runWithInput("0712345678", args...)
					if exit == exitDone || strings.Count(errOut, "the login of Redis") != 1 || !strings.Contains(errOut, "NOAUTH Authentication required; add the login of Redis to the URL") {
						t.Errorf("tuma %s: got exit %d and standard error %s, want exit 1 and advice, once, to add the login to the URL", args, exit, errOut)
					}
				}
				return
			}
			for _, args := range [][]string{{"worker", "--accounts", "kobo-main"}, {"check"}} {
				if _, errOut, exit := h.run(args...); exit == exitDone || !strings.Contains(errOut, tt.why) || !strings.Contains(errOut, "redis.unsafe") {
					t.Errorf("tuma %s: got exit %d and standard error %s; want an error with %q and redis.unsafe", args[0], exit, errOut, tt.why)
				}
			}
			_, errOut, exit := h.runWithInput("0712345678", "send", "--via", "kobo-main", "--body", "x")
			if refused := strings.Contains(errOut, tt.why); refused == tt.sends || !tt.sends && exit != exitFailed {
				t.Errorf("send: got exit %d and standard error %s; want sent: %v, and if false an error with %q", exit, errOut, tt.sends, tt.why)
			}
			if out, _ := h.mustRun("list", "--json"); out != "[]\n" {
				t.Errorf("got campaigns %s, want none", out)
			}
		})
	}
}

// The help of every command fits into helpWidth columns, including examples, flags and
// lists.
func TestHelp_FitsIntoTheWidth(t *testing.T) {
	t.Parallel()
	c := newCLI(t, "")
	seen := 0
	var walk func(verb *cobra.Command)
	walk = func(verb *cobra.Command) {
		seen++
		path := strings.Fields(verb.CommandPath())[1:] // without tuma
		out, _ := c.mustRun(append(path, "--help")...)
		for line := range strings.SplitSeq(out, "\n") {
			if n := utf8.RuneCountInString(line); n > helpWidth {
				t.Errorf("tuma %s --help: a line has %d columns, want at most %d: %s", strings.Join(path, " "), n, helpWidth, line)
			}
		}
		for _, sub := range verb.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(&app{}))
	if seen < 40 {
		t.Errorf("only %d commands were seen; want all", seen)
	}
}

func TestHelp_ExampleForEveryCommand(t *testing.T) {
	t.Parallel()
	root := newRoot(&app{})
	for _, verb := range append(root.Commands(), newGateway(&app{}).Commands()...) {
		for line := range strings.Lines(verb.Long) {
			if len([]rune(line)) > helpWidth+1 && !strings.HasPrefix(line, "  ") {
				t.Errorf("help of %s: line has %d columns, want at most %d: %s", verb.Name(), len([]rune(line))-1, helpWidth, line)
			}
		}
		if verb.Short == "" || verb.Long == "" || !strings.HasPrefix(strings.TrimSpace(verb.Example), "tuma "+strings.Fields(verb.Use)[0]) &&
			!strings.Contains(verb.Example, "tuma gateway "+strings.Fields(verb.Use)[0]) && !strings.Contains(verb.Example, "tuma send") {
			t.Errorf("%s must have a help text and an example; got example %q", verb.Name(), verb.Example)
		}
	}
	c := newCLI(t, "")
	if out, _ := c.mustRun("help", "send"); !strings.Contains(out, "--expires-in") {
		t.Errorf("help of send: got %s, want the flag --expires-in", out)
	}
	if out, _ := c.mustRun("version"); !strings.HasPrefix(out, "tuma ") {
		t.Errorf("version: got %s, want a line that begins with tuma", out)
	}
	if out, _ := c.mustRun("completion", "bash"); !strings.Contains(out, "__start_tuma") {
		t.Error("tuma completion bash printed no completion script")
	}
}
