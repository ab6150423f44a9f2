package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// cancelOnWrite is a buffer that calls end() at each write. So a command that writes to the
// buffer is interrupted.
type cancelOnWrite struct {
	bytes.Buffer
	end context.CancelFunc
}

func (c *cancelOnWrite) Write(b []byte) (int, error) {
	c.end()
	return c.Buffer.Write(b)
}

func TestResults_ContinueAfterAnInterrupt(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	var list strings.Builder
	for i := range 6000 {
		switch i % 10 {
		case 3:
			list.WriteString("n/a\n")
		case 7:
			list.WriteString("0712345678\n")
		default:
			fmt.Fprintf(&list, "07%08d\n", 10_000_000+i)
		}
	}
	if _, errOut, exit := h.runWithInput("phone\n"+list.String(), "send", "--id", "big", "--via", "kobo-main", "--body", "Hello", "--wait"); exit != exitNotAll {
		t.Fatalf("got exit %d and standard error %s, want exit 3", exit, errOut)
	}
	hint := regexp.MustCompile(`interrupted: row (\d+) is the last row printed; to continue: tuma (results big --after (\d+).*)\n`)
	for name, flags := range map[string][]string{
		"csv": nil, "jsonl": {"--format", "jsonl"}, "of one status": {"--status", "accepted"}, "of two, jsonl": {"--status", "accepted,skipped", "--format", "jsonl"},
	} {
		args := append([]string{"results", "big"}, flags...)
		whole, _ := h.mustRun(args...)
		ctx, cancel := context.WithCancel(t.Context())
		first, errOut := cancelOnWrite{end: cancel}, bytes.Buffer{}
		exit := run(ctx, args, strings.NewReader(""), &first, &errOut, h.env)
		found := hint.FindStringSubmatch(errOut.String())
		if exit != exitFailed || len(found) == 0 {
			t.Fatalf("%s: got exit %d and standard error %s, want exit 1 and the command that continues", name, exit, errOut.String())
		}
		if !strings.HasSuffix(first.String(), "\n") || first.Len() >= len(whole) || found[1] != found[3] {
			t.Fatalf("%s: got %d of %d bytes before the interruption, up to row %s: %s", name, first.Len(), len(whole), found[1], errOut.String())
		}
		rest, _ := h.mustRun(strings.Fields(found[2])...)
		if first.String()+rest != whole {
			t.Errorf("%s: the two parts of %d and %d bytes differ from the whole of %d bytes", name, first.Len(), len(rest), len(whole))
		}
	}
	if out, _ := h.mustRun("results", "big", "--after", "6000"); out != "" {
		t.Errorf("results after the last row: got %q, want nothing", out)
	}
	if _, errOut, exit := h.run("results", "big", "--after", "-1"); exit != exitMisuse || !strings.Contains(errOut, "--after: -1 must not be negative") {
		t.Errorf("got exit %d and standard error %s, want exit 2 and \"--after: -1 must not be negative\"", exit, errOut)
	}
}
