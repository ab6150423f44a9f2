package e2e

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

const text = "Dear customer, your statement is ready."

func TestSend_HundredThousandNumbersInTwoHundredCalls(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, simulator.Options{})
	f.start()
	f.start()
	file := f.recipients("list.csv", 100_000)
	args := []string{"send", "--id", "august", "--via", "kobo-main", "--body", text, "--file", file}
	f.must(append(args, "--wait")...)
	s := f.status("august")
	if s.State != producer.Done || s.Accepted != 100_000 || s.Calls != 200 {
		t.Errorf("got status %+v; want State Done, Accepted 100,000, Calls 200", s)
	}
	f.compare("august", 100_000)
	if n := f.gateway.Stats().Calls; n != 200 {
		t.Errorf("got %d calls, want 200", n)
	}

	t.Run("sending the same again changes nothing and reports it", func(t *testing.T) {
		out, errOut, exit := f.tuma(args...)
		if exit != 0 || !strings.Contains(out+errOut, "already") {
			t.Errorf("got exit %d, %s%s, want exit 0 and a note that the campaign exists already", exit, out, errOut)
		}
	})
	t.Run("another body is refused", func(t *testing.T) {
		out, errOut, exit := f.tuma("send", "--id", "august", "--via", "kobo-main", "--body", "other", "--file", file)
		if exit == 0 || !strings.Contains(errOut, "august") {
			t.Errorf("got exit %d, %s%s, want an error that names the campaign august", exit, out, errOut)
		}
	})
	if n := f.gateway.Stats().Calls; n != 200 {
		t.Errorf("got %d calls after the repeated send, want 200", n)
	}
}

func TestSend_WithoutAnIDTheContentIsTheID(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, simulator.Options{})
	f.start()
	file := f.recipients("list.csv", 2000)
	args := []string{"send", "--via", "kobo-main", "--body", text, "--file", file, "--wait"}

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if out, errOut, exit := f.tuma(args...); exit != 0 {
				t.Errorf("got exit %d, %s%s, want exit 0", exit, out, errOut)
			}
		})
	}
	wg.Wait()
	out, errOut, exit := f.tuma(args...)
	if exit != 0 || !strings.Contains(out+errOut, "already sent as") || !strings.Contains(out+errOut, "--again") {
		t.Errorf("got exit %d, %s%s, want exit 0 and a note about --again", exit, out, errOut)
	}
	if s := f.gateway.Stats(); s.Accepted != 2000 || s.Calls != 4 {
		t.Errorf("got gateway stats %+v; want Accepted 2000, Calls 4", s)
	}
	campaigns := 0
	for _, err := range f.client.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		campaigns++
	}
	if campaigns != 1 {
		t.Errorf("got %d campaigns, want 1", campaigns)
	}

	f.must(append(args, "--again")...)
	if s := f.gateway.Stats(); s.Accepted != 4000 || s.Numbers != 2000 || s.Duplicates != 0 {
		t.Errorf("after --again, which is another campaign: got gateway stats %+v; want Accepted 4000, Numbers 2000, Duplicates 0", s)
	}
}

func TestRestart_LosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, simulator.Options{Latency: 30 * time.Millisecond}, "max_recipients: 50", "timeout: 2s")
	workers := []int{0, 1, 2}
	running := f.workers
	for range workers {
		running = append(running, f.start())
	}
	f.must("send", "--id", "rolling", "--via", "kobo-main", "--body", text, "--file", f.recipients("list.csv", 30_000))
	for round := range 2 {
		for i := range workers {
			seen := int64(60 * (3*round + i + 1))
			f.eventually(60*time.Second, "calls", func() bool { return f.gateway.Stats().Calls >= seen })
			next := f.spawn()
			f.drain(running[i])
			running[i] = next
		}
	}
	if s := f.wait("rolling", 60*time.Second); s.Accepted != 30_000 || s.Calls != 600 {
		t.Errorf("got status %+v; want Accepted 30,000, Calls 600", s)
	}
	f.compare("rolling", 30_000)
	if s := f.gateway.Stats(); s.Calls != 600 || s.Replays != 0 {
		t.Errorf("got gateway stats %+v; want Calls 600, Replays 0", s)
	}
}
