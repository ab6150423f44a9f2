//go:build unix

package main

import (
	"bytes"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/providers/providertest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	goleak.VerifyTestMain(providertest.Guarded(m))
}

// TestChaos_NothingIsLostOrSentTwice runs the command "chaos" for six seconds, with the flag -quick.
func TestChaos_NothingIsLostOrSentTwice(t *testing.T) {
	t.Parallel()
	redistest.Start(t) // reports a missing redis-server
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-quick", "-for", "6s", "-seed", "1"}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
	injected, _, _ := strings.Cut(out.String(), "DUPLICATES")
	for _, e := range schedule(plan{seed: 1, duration: 6 * time.Second, workers: 3, serves: serveProcesses, quick: true}) {
		if !strings.Contains(injected, "  "+e.name()+" ") {
			t.Errorf("the fault %q was not injected", e.name())
		}
	}
	if !strings.Contains(out.String(), "No message was sent twice or lost. No call went to an opted-out recipient, except calls reported in flight.") {
		t.Errorf("the last line does not say that every promise was kept:\n%s", out.String())
	}
	for _, row := range []string{"delivered", "undelivered", "final reports that got a 2xx"} {
		if !regexp.MustCompile(`(?m)^ *` + row + ` .* [1-9][0-9]* *$`).MatchString(injected) {
			t.Errorf("no recipient is counted as %q:\n%s", row, out.String())
		}
	}
	if !regexp.MustCompile(`opted out meanwhile .* [1-9][0-9]*\n`).MatchString(injected) {
		t.Errorf("no recipient opted out:\n%s", out.String())
	}
}

func TestParse_InvalidArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-for", "1ms"}, {"-durability", "perhaps"}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("parse(%q) returns no error", args)
		}
	}
	o, err := parse([]string{"-fsync", "everysec", "-seed", "9"})
	if err != nil || o.durability != "none" || o.seed != 9 || o.foreign || o.serves != serveProcesses {
		t.Errorf("got %+v, %v, want durability none, seed 9 and not foreign", o, err)
	}
	if o, err = parse([]string{"-redis", "redis://127.0.0.1:1/0"}); err != nil || o.durability != "none" || !o.foreign {
		t.Errorf("got %+v, %v, want durability none and foreign", o, err)
	}
}

func TestReadTask_ReadsTheIDsOfTheQueue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id   string
		want queue.Pointer
		ok   bool
	}{
		{"chaos-kobo-3:0.12:4", queue.Pointer{Campaign: "chaos-kobo-3", Batch: "0.12", Wake: 4}, true},
		{"chaos-kobo-3:plan:4", queue.Pointer{Campaign: "chaos-kobo-3", Wake: 4}, true},
		{"chaos-kobo-3:else:4", queue.Pointer{}, false},
		{"chaos-kobo-3", queue.Pointer{}, false},
	} {
		if got, ok := readTask(c.id); ok != c.ok || ok && got != c.want {
			t.Errorf("readTask(%q) = %+v, %v, want %+v, %v", c.id, got, ok, c.want, c.ok)
		}
	}
}

func TestReadClaim_ReadsTheRecordsOfTheLedger(t *testing.T) {
	t.Parallel()
	got, ok := readClaim("c", "g0.1.2.0", "s tok 1 2 3 0 0 0 0 AAECAwQFBgcICQoLDA0ODw login 0 20 1")
	want := claim{campaign: "c", field: "g0.1.2.0", state: "s", token: "tok", uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f"}
	if !ok || got != want {
		t.Errorf("got %+v, %v, want %+v", got, ok, want)
	}
	if _, ok := readClaim("c", "g", "t AAECAwQFBgcICQoLDA0ODw 1"); ok {
		t.Error("readClaim accepts a settled record; want false")
	}
}

// echo starts a server that sends back every byte, and returns its address.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	return l.Addr().String()
}

func TestProxy_CutsAnAnswerInItsMiddle(t *testing.T) {
	t.Parallel()
	p, err := newProxy(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}()
	p.cutAfter(3)
	c, err := net.Dial("tcp", p.address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(c)
	if string(got) != "hel" {
		t.Errorf("got %q, want %q", got, "hel")
	}
	<-p.cuts
	again, err := net.Dial("tcp", p.address())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	p.holdAnswers(true)
	if _, err := again.Write([]byte("still")); err != nil {
		t.Fatal(err)
	}
	p.holdAnswers(false)
	buf := make([]byte, 5)
	if _, err := io.ReadFull(again, buf); err != nil || string(buf) != "still" {
		t.Errorf("got %q, %v, want %q after the release", buf, err, "still")
	}
	p.cutAll()
	if _, err := again.Read(buf); err == nil {
		t.Error("a connection is open after cutAll")
	}
}
