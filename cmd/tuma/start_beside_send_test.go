package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// A worker starts a hundred times, each time on an empty Redis. Meanwhile `tuma send`
// enqueues a campaign for the worker's account. The command must never fail because the
// account is missing.
func TestSend_BesideAHundredStartsOfAWorker(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	rdb := h.redis.Client()
	sends := 0
	for round := range 100 {
		if err := rdb.FlushAll(context.WithoutCancel(t.Context())).Err(); err != nil {
			t.Fatal(err)
		}
		w := h.start("worker", "--accounts", "kobo-main")
		for n, published := 0, false; !published; n++ {
			published = strings.Contains(w.log.String(), "worker started") // then one more send
			out, errOut, exit := h.runWithInput("0712345678\n", "send", "--id", fmt.Sprintf("c%d-%d", round, n), "--via", "kobo-main", "--body", "Hello")
			if exit != exitDone {
				t.Fatalf("start %d, send %d: got exit %d\n%s%s", round, n, exit, out, errOut)
			}
			sends++
		}
		if exit := w.end(t); exit != exitDone {
			t.Fatalf("start %d: the worker ended with exit %d\n%s", round, exit, w.log)
		}
	}
	t.Logf("%d sends", sends)
}
