package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/sandbox"
)

// cutOff takes one write, and then whoever writes is told to end.
type cancelOnWrite struct {
	bytes.Buffer
	end context.CancelFunc
}

func (c *cancelOnWrite) Write(b []byte) (int, error) {
	c.end()
	return c.Buffer.Write(b)
}

func TestResultsGoOnWhereTheyWereInterrupted(t *testing.T) {
	t.Parallel()
	h := newFixture(t, sandbox.Options{})
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
		t.Fatalf("exit %d, %s", exit, errOut)
	}
	hint := regexp.MustCompile(`interrupted: row (\d+) is the last one printed; for the rest: tuma (results big --after (\d+).*)\n`)
	for name, flags := range map[string][]string{
		"csv": nil, "jsonl": {"--format", "jsonl"}, "of one status": {"--status", "accepted"}, "of two, jsonl": {"--status", "accepted,skipped", "--format", "jsonl"},
	} {
		args := append([]string{"results", "big"}, flags...)
		whole, _ := h.mustRun(args...)
		ctx, cancel := context.WithCancel(t.Context())
		first, errOut := cancelOnWrite{end: cancel}, bytes.Buffer{}
		exit := run(ctx, args, strings.NewReader(""), &first, &errOut, h.env)
		told := hint.FindStringSubmatch(errOut.String())
		if exit != exitFailed || len(told) == 0 {
			t.Fatalf("%s: exit %d, %s", name, exit, errOut.String())
		}
		if !strings.HasSuffix(first.String(), "\n") || first.Len() >= len(whole) || told[1] != told[3] {
			t.Fatalf("%s: %d bytes of %d came before the interruption, which ends with %q: %s", name, first.Len(), len(whole), told[1], errOut.String())
		}
		rest, _ := h.mustRun(strings.Fields(told[2])...)
		if first.String()+rest != whole {
			t.Errorf("%s: %d bytes and then %d are not the %d of the whole", name, first.Len(), len(rest), len(whole))
		}
	}
	if out, _ := h.mustRun("results", "big", "--after", "6000"); out != "" {
		t.Errorf("after the last row comes %q", out)
	}
	if _, errOut, exit := h.run("results", "big", "--after", "-1"); exit != exitMisuse || !strings.Contains(errOut, "--after: -1 is the number of no row") {
		t.Errorf("exit %d, %s", exit, errOut)
	}
}
