package main

import (
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/redistest"
	"github.com/tuma-sms/tuma/internal/sandbox"
)

// nowhere is a Redis that refuses connections: port 1 is nobody's.
const unreachableRedis = "TUMA_REDIS_URL=redis://someone:letmein@127.0.0.1:1/0"

func TestWrongUseIsOneLineAndStatusTwo(t *testing.T) {
	t.Parallel()
	c := newCLI(t, koboAccount, unreachableRedis)
	numbers := c.file("numbers.csv", "phone\n0712345678\n")
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"sned"}, `unknown command "sned"`},
		{[]string{"send"}, `required flag(s) "body" not set (see tuma send --help)`},
		{[]string{"send", "--body", "x", "--bogus"}, "unknown flag: --bogus (see tuma send --help)"},
		{[]string{"send", "--body", "x", "stray.csv"}, `tuma send does not know what to do with "stray.csv"`},
		{[]string{"send", "--body", "x", "--file", "not-there.csv"}, "there is no file not-there.csv"},
		{[]string{"send", "--body", "x", "--file", c.dir}, "is a directory, not a file of recipients"},
		{[]string{"send", "--body", "x", "--file", numbers, "--start-at", "tomorrow"}, `--start-at: "tomorrow" is no time`},
		{[]string{"send", "--body", "x", "--file", numbers, "--expires-at", "1"}, `--expires-at: "1" is no time`},
		{[]string{"send", "--body", "x", "--file", numbers, "--expires-in", "-1h"}, `--expires-in: "-1h" is no span of time`},
		{[]string{"send", "--body", "x", "--file", numbers, "--country", "Kenya"}, `--country: "KENYA" is no country`},
		{[]string{"send", "--body", "x", "--file", numbers, "--id", "a", "--again"}, "--again: to send again under an ID of your own"},
		{[]string{"send", "--body", "x", "--file", numbers, "--dry-run", "--wait"}, "--wait: a --dry-run enqueues nothing"},
		{[]string{"send", "--body", "x", "--file", numbers, "--dry-run", "--test", "0712345678"}, "--test: a --dry-run sends nothing"},
		{[]string{"send", "--body", "x", "--file", numbers, "--test", ""}, "--test: it is empty"},
		{[]string{"send", "--body", "x", "--file", numbers, "--yes"}, "--yes: nothing is asked without --test"},
		{[]string{"send", "--body", "x", "--file", numbers, "--max-rejected", "0"}, `--max-rejected: "0" must be in percent, above 0`},
		{[]string{"send", "--body", "x", "--file", numbers, "--max-rejected", "150%"}, `--max-rejected: "150%" must be in percent`},
		{[]string{"send", "--body", "x", "--file", numbers, "--max-rejected", "NaN"}, `--max-rejected: "NaN" must be in percent`},
		{[]string{"send", "--canary", "abc"}, `--canary: "abc" is no whole number; write it like 1000`},
		{[]string{"send", "--canary", "1,000"}, `--canary: "1,000" is no whole number`},
		{[]string{"send", "--max-messages", "2.5"}, `--max-messages: "2.5" is no whole number`},
		{[]string{"send", "--max-segments", "99999999999999999999"}, `--max-segments: "99999999999999999999" is too large`},
		{[]string{"send", "--body", "x", "--file", numbers, "--max-rejected", "some"}, `--max-rejected: "some" must be in percent`},
		{[]string{"send", "--require-credit=maybe"}, `--require-credit: "maybe" is neither true nor false`},
		{[]string{"results", "a", "--after", "x"}, `--after: "x" is no whole number; write it like 1000`},
		{[]string{"sandbox", "--latency", "fast"}, `--latency: "fast" is no span of time; write it like 250ms`},
		{[]string{"rate", "k", "fast"}, `"fast" is no rate: write 50/s, 600/m`},
		{[]string{"status"}, "tuma status needs ID"},
		{[]string{"status", "a", "b"}, `tuma status does not know what to do with "b"`},
		{[]string{"status", "a b"}, `"a b" is no campaign ID`},
		{[]string{"results", "a", "--format", "xml"}, `--format: "xml" must be csv or jsonl`},
		{[]string{"retry", "a"}, "tuma retry needs --unknown, --rejected or both"},
		{[]string{"hold", "k", "--reason", "two words"}, `--reason: "two words" must be one word`},
		{[]string{"worker", "--log-level", "loud"}, `--log-level: "loud" must be`},
		{[]string{"worker", "--log-format", "xml"}, `--log-format: "xml" must be`},
		{[]string{"worker", "--accounts", "zz"}, `has no account "zz"; it has k`},
		{[]string{"gateway", "fax"}, `tuma gateway has no "fax"; it has balance, inbox, reports, status`},
		{[]string{"gateway", "inbox", "k"}, "provider kobo cannot be asked for messages that people have sent in"},
		{[]string{"gateway", "reports", "k"}, "this gateway has none: provider kobo cannot be asked for reports"},
		{[]string{"gateway", "status", "k"}, "needs an account and a message id"},
		{[]string{"balance", "zz"}, `has no account "zz"`},
	}
	for _, tt := range tests {
		out, errOut, exit := c.run(tt.args...)
		if exit != exitMisuse || out != "" || strings.Count(errOut, "\n") != 1 || !strings.HasPrefix(errOut, "tuma: ") || !strings.Contains(errOut, tt.want) {
			t.Errorf("tuma %s: exit %d, %q, want one line with %q%s", strings.Join(tt.args, " "), exit, errOut, tt.want, out)
		}
	}
}

func TestRedisDownIsOneLineWithoutItsPassword(t *testing.T) {
	t.Parallel()
	c := newCLI(t, koboAccount, unreachableRedis)
	numbers := c.file("numbers.csv", "0712345678\n")
	for _, args := range [][]string{{"list"}, {"status", "a"}, {"results", "a"}, {"pause", "a"}, {"accounts"}, {"hold", "k"}, {"worker"},
		{"send", "--via", "k", "--body", "x", "--file", numbers}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			out, errOut, exit := c.run(args...)
			if exit != exitFailed || out != "" || strings.Count(errOut, "\n") != 1 || strings.Contains(errOut, "letmein") ||
				!strings.Contains(errOut, "cannot reach Redis at redis://127.0.0.1:1/0 (TUMA_REDIS_URL): ") {
				t.Errorf("exit %d, %s%s", exit, errOut, out)
			}
		})
	}
}

func TestARedisThatForgetsIsRefused(t *testing.T) {
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
			h := newFixture(t, sandbox.Options{}, tt.option)
			if tt.why == "" {
				h.env = append(h.env, "TUMA_REDIS_URL=redis://"+h.redis.Addr())
				if _, errOut, exit := h.run("list"); exit != exitFailed || !strings.Contains(errOut, "the URL needs its login") {
					t.Errorf("exit %d, %s", exit, errOut)
				}
				return
			}
			for _, args := range [][]string{{"worker", "--accounts", "kobo-main"}, {"check"}} {
				if _, errOut, exit := h.run(args...); exit == exitDone || !strings.Contains(errOut, tt.why) || !strings.Contains(errOut, "redis.unsafe") {
					t.Errorf("tuma %s: exit %d, %s", args[0], exit, errOut)
				}
			}
			_, errOut, exit := h.runWithInput("0712345678", "send", "--via", "kobo-main", "--body", "x")
			if refused := strings.Contains(errOut, tt.why); refused == tt.sends || !tt.sends && exit != exitFailed {
				t.Errorf("send: exit %d, %s", exit, errOut)
			}
			if out, _ := h.mustRun("list", "--json"); out != "[]\n" {
				t.Errorf("something was enqueued: %s", out)
			}
		})
	}
}

func TestHelpHasAnExampleForEveryVerb(t *testing.T) {
	t.Parallel()
	root := newRoot(&app{})
	for _, verb := range append(root.Commands(), newGateway(&app{}).Commands()...) {
		if verb.Short == "" || verb.Long == "" || !strings.HasPrefix(strings.TrimSpace(verb.Example), "tuma "+strings.Fields(verb.Use)[0]) &&
			!strings.Contains(verb.Example, "tuma gateway "+strings.Fields(verb.Use)[0]) && !strings.Contains(verb.Example, "tuma send") {
			t.Errorf("%s has no help, or no example: %q", verb.Name(), verb.Example)
		}
	}
	c := newCLI(t, "")
	if out, _ := c.mustRun("help", "send"); !strings.Contains(out, "--expires-in") {
		t.Errorf("got %s", out)
	}
	if out, _ := c.mustRun("version"); !strings.HasPrefix(out, "tuma ") {
		t.Errorf("got %s", out)
	}
	if out, _ := c.mustRun("completion", "bash"); !strings.Contains(out, "__start_tuma") {
		t.Error("no completion for bash")
	}
}
