package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

var conductChecks = []check{
	{"info is sane and stays", info},
	{"the fingerprint names the login and not the secret", fingerprint},
	{"the batch is left as it is", batchIsLeft},
	{"results are the caller's", resultsAreTheCallers},
	{"credentials stand in no URL", credentials},
	{"no goroutine is left behind", goroutines},
	{"prints of a provider hold no secret", prints},
}

func info(x *exam) {
	p := x.open("http://127.0.0.1:1")
	i := p.Info()
	for name, n := range map[string]int{
		"MaxChars": i.MaxChars, "MaxSegments": i.MaxSegments, "SenderAlphaMax": i.SenderAlphaMax, "SenderDigitsMax": i.SenderDigitsMax,
		"KeyTTL": int(i.KeyTTL / time.Second), "MaxRecipients": i.MaxRecipients - 1,
	} {
		if n < 0 {
			x.Errorf("%s: %+v", name, i)
		}
	}
	if i.Name != x.kind.Name || i.Fingerprint == "" || i.SenderAlphaMax > 0 && i.SenderAlphaMax < len(sender) {
		x.Errorf("want the name %q, a fingerprint and room for a sender: %+v", x.kind.Name, i)
	}
	if i.KeyTTL > 0 && i.KeyTTL < 24*time.Hour {
		x.Errorf("a key that is kept for %v is none", i.KeyTTL)
	}
	if again := p.Info(); again != i {
		x.Errorf("first %+v, then %+v", i, again)
	}
	x.send(p, x.newBatch(p, 1))
	if again := p.Info(); again != i {
		x.Errorf("before a call %+v, then %+v", i, again)
	}
	if other := x.open("http://127.0.0.1:1").Info(); other != i {
		x.Errorf("one account %+v, the same again %+v", i, other)
	}
}

func fingerprint(x *exam) {
	of := func(base, user string, secret providers.Secret) string {
		x.Helper()
		return x.open(base, func(s *providers.Settings) { logIn(s, x.kind.Required, user, secret) }).Info().Fingerprint
	}
	one := of("http://127.0.0.1:1", user, secret)
	if of("http://127.0.0.1:1", user, wrongSecret) != one {
		x.Errorf("another password is another fingerprint")
	}
	if of("http://127.0.0.1:2", user, secret) == one {
		x.Errorf("another gateway has the same fingerprint")
	}
	hasUser := slices.Contains(x.kind.Required, "user") || slices.Contains(x.kind.Required, "username")
	if hasUser && of("http://127.0.0.1:1", user+"2", secret) == one {
		x.Errorf("another user has the same fingerprint")
	}
}

func batchIsLeft(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	n := min(5, p.Info().MaxRecipients)
	room := x.numbers(n + 3)
	slices.Reverse(room)
	was := slices.Clone(room)
	b := batch(nil)
	b.To = room[:n]
	before := b
	a := x.send(p, b)
	x.wantAccepted(a)
	if !slices.Equal(room, was) {
		x.Errorf("the list of recipients, or what lies behind it, has been changed")
	}
	if b.To = nil; b.IdempotencyKey != before.IdempotencyKey || b.From != before.From || b.Body != before.Body || b.Flash != before.Flash {
		x.Errorf("the batch has been changed")
	}
	// Nor may the results live in it.
	kept := slices.Clone(a.results)
	clear(room)
	if !slices.Equal(kept, a.results) {
		x.Errorf("the results change with the batch")
	}
}

func resultsAreTheCallers(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	first := x.send(p, x.newBatch(p, 4))
	kept := slices.Clone(first.results)
	second := x.send(p, x.newBatch(p, 4))
	if !slices.Equal(kept, first.results) {
		x.Errorf("the results of a call change with the next one")
	}
	kept = slices.Clone(second.results)
	for i := range first.results {
		first.results[i] = providers.Result{Reason: "mine"}
	}
	if !slices.Equal(kept, second.results) {
		x.Errorf("two calls share their results")
	}
	x.wantAccepted(x.send(p, x.newBatch(p, 4)))
}

// credentials looks at all requests a provider makes.
func credentials(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	x.wantAccepted(x.send(p, x.newBatch(p, 2)))
	sent := g.exchanges()
	for _, q := range questions(p) {
		_, _ = x.ask(x.Context(), q)
	}
	x.send(x.open(g.url, withWrongPassword(x)), x.newBatch(p, 1))
	for i, e := range g.exchanges() {
		if i < len(sent) && e.method != http.MethodPost {
			x.Errorf("a call is a %s", e.method)
		}
		for _, s := range spellings(secret, wrongSecret) {
			if strings.Contains(e.target, s) {
				x.Errorf("%s request %d: the secret stands in the URL", e.method, i)
			}
		}
		if strings.Contains(e.target, user) && e.method == http.MethodPost {
			x.Errorf("request %d: the user stands in the URL of a POST", i)
		}
		for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
			if _, ok := e.header[name]; ok {
				x.Errorf("request %d: with %s, net/http would send it again by itself", i, name)
			}
		}
		if e.header.Get("Authorization")+e.header.Get("Cookie") != "" {
			x.Errorf("request %d: with an Authorization or Cookie that no vendor asks for", i)
		}
	}
}

// goroutines makes calls that end in all ways, and looks for what runs on. Whatever
// is started during a call has its label; before the servers are gone it may be a
// connection's of net/http, and afterwards nothing.
func goroutines(x *exam) {
	label := fmt.Sprintf("%s-%d", x.kind.Name, keys.Add(1))
	g := x.gateway()
	hangs := make(chan context.CancelFunc, 1)
	s := x.serve(func(c *conn) {
		if _, ok := c.request(); ok {
			(<-hangs)()
			c.wait()
		}
	})
	p, hanging := x.open(g.url), x.open(s.url)
	ctx, cancel := context.WithCancel(x.Context())
	defer cancel()
	hangs <- cancel
	pprof.Do(x.Context(), pprof.Labels(labelKey, label), func(context.Context) {
		x.wantAccepted(x.send(p, x.newBatch(p, 3)))
		if err := g.server.Fail(sandbox.Fault{Name: "close", Gateway: x.kind.Name, N: 1}); err != nil {
			x.Errorf("%v", err)
		}
		x.send(p, x.newBatch(p, 3))
		x.wantNoAnswer(x.sendIn(ctx, hanging, x.newBatch(p, 3)), "given up")
		for _, q := range questions(p) {
			_, _ = x.ask(x.Context(), q)
		}
	})
	for _, stack := range labelled(label) {
		if !strings.Contains(stack, "net/http.(*") && !strings.Contains(stack, "\tnet.") {
			x.Errorf("a goroutine that is no connection's runs on after the call:\n%s", stack)
			return
		}
	}
	g.hangUp()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		left := labelled(label)
		if len(left) == 0 {
			return
		}
		select {
		case <-deadline:
			x.Errorf("%d goroutines run on although every connection is closed:\n%s", len(left), strings.Join(left, "\n\n"))
			return
		case <-tick.C:
		}
	}
}

const labelKey = "providertest"

// labelled returns the stacks of the goroutines with a label.
func labelled(label string) (stacks []string) {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
	for block := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(block, fmt.Sprintf("%q:%q", labelKey, label)) {
			stacks = append(stacks, block)
		}
	}
	return stacks
}

// spellings are the ways in which secrets may be written.
func spellings(secrets ...string) (all []string) {
	for _, s := range secrets {
		all = append(all, s, url.QueryEscape(s), url.PathEscape(s), strings.ReplaceAll(s, "&", `\u0026`))
	}
	return all
}

// prints prints a provider and its settings in every way that logs and panics do.
func prints(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	x.send(p, x.newBatch(p, 2))
	settings := x.settings(g.url)
	values := []any{p, settings, &settings, x.kind, p.Info()}
	if v := reflect.ValueOf(p); v.Kind() == reflect.Pointer && !v.IsNil() {
		values = append(values, v.Elem().Interface())
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x"} {
			x.note(fmt.Sprintf(verb, v))
		}
		if text, err := json.Marshal(v); err == nil {
			x.note(string(text))
		}
	}
	bad := x.settings(g.url)
	bad.Options = map[string]string{"zebra": secret}
	bad.BaseURL = "http://" + user + ":" + url.PathEscape(secret) + "@127.0.0.1:1"
	if _, err := x.kind.Open(bad); err == nil {
		x.Errorf("an account with a field that nobody knows and a login in its base URL is opened")
	} else {
		x.noteError(err)
	}
	for said, check := range x.textsSoFar() {
		if check == x.check && leaks(said) != "" {
			x.Errorf("a print holds %s", leaks(said))
		}
	}
}

func (s *suite) textsSoFar() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := make(map[string]string, len(s.texts))
	for text, check := range s.texts {
		said[text] = check
	}
	return said
}

// leaks names what a text holds and must not; empty: nothing.
func leaks(said string) string {
	for _, s := range spellings(secret, wrongSecret) {
		if strings.Contains(said, s) || strings.Contains(said, fmt.Sprintf("%x", s)) {
			return "a secret"
		}
	}
	if strings.Contains(said, marker) {
		return "a message's text"
	}
	// Masked they show four digits at most.
	for _, number := range []sms.MSISDN{kenya, nigeria} {
		if strings.Contains(said, number.String()[:8]) {
			return "a whole number"
		}
	}
	return ""
}

func noLeaks(x *exam) {
	told := map[string]bool{}
	for said, check := range x.textsSoFar() {
		what := leaks(said)
		if what == "" || told[check] {
			continue
		}
		told[check] = true
		x.Errorf("in %q an error, result or print holds %s: %.300s", check, what, said)
	}
}
