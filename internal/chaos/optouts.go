//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

// consent is who has opted out while their campaign was being sent, and what has come
// to the gateways. Safe for concurrent use.
type optOutLog struct {
	// ask opts one number out of what a sender, or anybody, writes to it.
	optOut func(ctx context.Context, number, sender string) (producer.OptOutReceipt, error)

	retries atomic.Int64 // opt-outs that failed, and were said again

	mu       sync.Mutex
	requests map[uint64]request
	calls    map[uint64][]arrival
	last     map[string]uint64 // by gateway, the number that came last
}

// wish is one opt-out.
type request struct {
	// back is when it had returned without an error; zero: it never has.
	returned time.Time
	// open are the calls that it has told of as claimed before.
	inFlight int
}

// arrival is a call at a gateway, whatever became of it there, as one number sees it.
type arrival struct {
	arrived time.Time
	// key is the call's at a gateway with keys; empty: another call each time.
	key string
}

func newOptOutLog() *optOutLog {
	return &optOutLog{requests: map[uint64]request{}, calls: map[uint64][]arrival{}, last: map[string]uint64{}}
}

// Every gateway is told numbers in full, and all of them begin as firstNumber does.
// KoboMobile's key is a UUID.
var (
	numberPattern = regexp.MustCompile(`2547[0-9]{8}`)
	keyPattern    = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
)

// note reads whom a request is to before the gateway has it. It counts as having come
// when its header had: whoever made it had begun by then.
func (c *optOutLog) readRequest(gateway string, q *http.Request) error {
	at := time.Now()
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return err
	}
	q.Body = io.NopCloser(bytes.NewReader(body))
	text := append(append([]byte(q.URL.RawQuery), '\n'), body...)
	a := arrival{arrived: at}
	if gateway == "kobo" {
		a.key = string(keyPattern.Find(text))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, found := range numberPattern.FindAll(text, -1) {
		n, err := strconv.ParseUint(string(found), 10, 64)
		if err != nil {
			return err
		}
		c.calls[n] = append(c.calls[n], a)
		c.last[gateway] = n
	}
	return nil
}

// optsOut says of which campaigns people opt out. Of some nobody does, so that nobody
// may be skipped there.
func hasOptOuts(nth int) bool { return nth%4 != 3 }

// leave has people opt out of a campaign at random moments until it has ended, a tenth
// of it at most. It begins before the campaign is enqueued: whom planning meets on the
// list is left out there.
func (t *traffic) optOutSome(ctx context.Context, c *campaign) {
	for range c.total / 10 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(rand.N(t.pause)):
		}
		if _, ended := t.progress(c); ended {
			return
		}
		t.optOut(ctx, t.optOuts.pickNumber(c), []string{"", "ACME"}[rand.N(2)])
	}
}

// beginLeaving has leave run beside a campaign, if people are to opt out of it.
func (t *traffic) startOptOuts(ctx context.Context, c *campaign) {
	if c.hasOptOuts {
		t.background.Go(func() { t.optOutSome(ctx, c) })
	}
}

// draw chooses who of a campaign opts out: mostly somebody in a call that has come to the
// gateway last, or just behind it.
func (c *optOutLog) pickNumber(of *campaign) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		n := of.first + rand.N(uint64(of.total))
		if last := c.last[of.gateway]; rand.N(4) > 0 && last >= of.first && last < of.first+uint64(of.total) {
			n = min(max(last+rand.N(uint64(3*perCall)), of.first+perCall)-perCall, of.first+uint64(of.total)-1)
		}
		if _, ok := c.requests[n]; !ok {
			c.requests[n] = request{}
			return n
		}
	}
}

// optOut says it until it is heard.
func (t *traffic) optOut(ctx context.Context, n uint64, sender string) {
	for {
		r, err := t.optOuts.optOut(ctx, "+"+strconv.FormatUint(n, 10), sender)
		if err == nil {
			t.optOuts.confirm(n, time.Now(), r.InFlight.Calls+r.Doubt)
			return
		}
		if errors.Is(err, producer.ErrInvalid) {
			t.breach("opt out %d: %v", n, err)
			return
		}
		t.optOuts.retries.Add(1)
		select {
		case <-ctx.Done():
			return
		case <-time.After(100*time.Millisecond + rand.N(200*time.Millisecond)):
		}
	}
}

func (c *optOutLog) confirm(n uint64, back time.Time, open int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[n] = request{returned: back, inFlight: open}
}

// asking opts out by the library and now and then, as a person would, by the command.
func (r *rig) optOutFunc(client *producer.Client, config string) func(context.Context, string, string) (producer.OptOutReceipt, error) {
	return func(ctx context.Context, number, sender string) (receipt producer.OptOutReceipt, err error) {
		if rand.N(8) > 0 {
			return client.OptOut(ctx, producer.OptOutNumbers(sender, "", number))
		}
		cmd := exec.CommandContext(ctx, r.binary, "--config", config, "optout", "add", number, "--sender", sender, "--json", "--no-wait")
		cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(config), "TUMA_CONFIG=")
		var output strings.Builder
		cmd.Stderr = &output
		out, err := cmd.Output()
		if err != nil {
			return receipt, fmt.Errorf("tuma optout add: %w: %s", err, output.String())
		}
		return receipt, json.Unmarshal(out, &receipt)
	}
}

// record is what is known of a number: its opt-out, if it asked for one, and the calls to it.
type record struct {
	optedOut bool
	request
	calls []arrival
}

func (c *optOutLog) recordOf(n uint64) record {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.requests[n]
	return record{optedOut: ok, request: w, calls: c.calls[n]}
}

// late counts the calls that came after the opt-out was back. What comes again under a
// key is the same call.
func (r record) lateCalls() (n int) {
	keys := map[string]bool{}
	for _, a := range r.calls {
		if a.arrived.After(r.returned) && (a.key == "" || !keys[a.key]) {
			keys[a.key] = true
			n++
		}
	}
	return n
}
