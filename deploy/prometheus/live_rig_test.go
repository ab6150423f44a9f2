package prometheus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/deploy/deploytest"
)

// liveRig is a Redis, the simulated gateways and a tuma.yaml.
type liveRig struct {
	tuma, dir, gateway string
	redis              string // address
	redisDir           string
	redisServer        *deploytest.Process
	env                []string
	next               int // next is the number of the next recipient.
}

// newLive starts Redis and the gateways. The function "accounts" returns the accounts of tuma.yaml.
func newLive(t *testing.T, accounts func(gateway string) string) *liveRig {
	t.Helper()
	l := &liveRig{tuma: deploytest.Tuma(t), dir: t.TempDir(), gateway: deploytest.FreeAddress(t), redis: deploytest.FreeAddress(t), redisDir: t.TempDir()}
	config := "accounts:\n" + accounts(l.gateway) + "default_country: KE\nwindows: off\n"
	if err := os.WriteFile(filepath.Join(l.dir, "tuma.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l.env = []string{"TUMA_REDIS_URL=redis://" + l.redis, "TUMA_CONFIG=" + filepath.Join(l.dir, "tuma.yaml")}
	l.redisServer = l.startRedis(t, l.redis, l.redisDir)
	deploytest.Start(t, l.dir, l.env, l.tuma, "sandbox", "--listen", l.gateway)
	deploytest.Wait(t, "the sandbox", func() bool { return deploytest.Listens(l.gateway) })
	return l
}

// startRedis starts a Redis at an address.
func (l *liveRig) startRedis(t *testing.T, address, dir string, args ...string) *deploytest.Process {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	p := deploytest.Start(t, dir, nil, deploytest.Tool(t, "redis-server", "redis-server"), append([]string{"--port", port, "--bind", "127.0.0.1",
		"--dir", dir, "--save", "", "--appendonly", "yes", "--maxmemory", "1gb", "--maxmemory-policy", "noeviction"}, args...)...)
	deploytest.Wait(t, "Redis", func() bool { return deploytest.Listens(address) })
	return p
}

// cli runs redis-cli.
func (l *liveRig) cli(t *testing.T, args ...string) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(l.redis)
	out, status := deploytest.Run(t, l.dir, nil, deploytest.Tool(t, "redis-cli", "redis-tools"), append([]string{"-p", port}, args...)...)
	if status != 0 {
		t.Fatalf("redis-cli %v: %s", args, out)
	}
	return strings.TrimSpace(out)
}

// run runs tuma.
func (l *liveRig) run(t *testing.T, args ...string) string {
	t.Helper()
	out, status := deploytest.Run(t, l.dir, l.env, l.tuma, args...)
	if status != 0 {
		t.Fatalf("tuma %v: exit %d\n%s", args, status, out)
	}
	return out
}

// The method "send" enqueues a campaign of n messages to numbers of a country.
func (l *liveRig) send(t *testing.T, id, account string, n int, flags ...string) {
	t.Helper()
	file := filepath.Join(l.dir, id+".csv")
	var list strings.Builder
	list.WriteString("phone\n")
	for range n {
		fmt.Fprintf(&list, "%d\n", 254710000000+l.next)
		l.next++
	}
	if err := os.WriteFile(file, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	l.run(t, append([]string{"send", "--id", id, "--via", account, "--body", "Hello", "--file", file, "--yes"}, flags...)...)
}

// The method "post" changes a setting of the simulated gateways.
func (l *liveRig) post(t *testing.T, name string, pairs ...string) {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	answer, err := http.PostForm("http://"+l.gateway+"/_sandbox/"+name, form)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		t.Fatalf("%s %v: %s", name, pairs, answer.Status)
	}
}

// enqueueAll uses the HTTP API to enqueue campaigns of one recipient that begin tomorrow.
func (l *liveRig) enqueueAll(t *testing.T, api string, campaigns int) {
	t.Helper()
	lines := strings.Fields(l.run(t, "keys", "create", "--name", "test", "--scopes", "send"))
	key := lines[len(lines)-1] // after a note
	const senders = 8
	failed := make(chan error, senders)
	for part := range senders {
		go func() {
			for i := part; i < campaigns; i += senders {
				if err := enqueueOne(t, api, key, i); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	var err error
	for range senders {
		err = errors.Join(err, <-failed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func enqueueOne(t *testing.T, api, key string, i int) error {
	body, err := json.Marshal(map[string]any{"via": fmt.Sprintf("kobo-%d", i%25), "body": "Hello", "start_at": time.Now().Add(24 * time.Hour),
		"recipients": []any{map[string]string{"number": fmt.Sprint(254710000000 + i)}}})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+api+"/v1/campaigns", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Idempotency-Key", fmt.Sprintf("campaign-%d", i))
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusAccepted && answer.StatusCode != http.StatusCreated {
		return fmt.Errorf("campaign %d: %s", i, answer.Status)
	}
	return nil
}
