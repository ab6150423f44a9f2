package e2e

import (
	"bufio"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// newEnvironment returns a deployment with a separate gateway. The deployment's keys in Redis begin with the given
// name and a colon. Its Redis user may use only keys and channels with this prefix.
func newEnvironment(t *testing.T, server *redistest.Server, name string) *deployment {
	t.Helper()
	gateway := catalog.Simulate(simulator.Options{})
	srv := httptest.NewServer(gateway)
	t.Cleanup(func() {
		gateway.Close()
		srv.Close()
	})
	rule := []any{"ACL", "SETUSER", name, "on", ">secret"}
	for _, right := range prefixRights(t) {
		rule = append(rule, strings.ReplaceAll(right, "staging", name))
	}
	if err := server.Client().Do(t.Context(), rule...).Err(); err != nil {
		t.Fatal(err)
	}
	f := &deployment{t: t, dir: t.TempDir(), redis: server, gateway: gateway}
	f.write("tuma.yaml", "redis: {url: 'redis://"+name+":secret@"+server.Addr()+"/0', prefix: '"+name+":'}\ndefault_country: KE\nwindows: off\naccounts:\n"+
		"  kobo-main: {provider: kobo, base_url: '"+srv.URL+"', user: demo, pass: demopass, rate: '0', sender: ACME}\n")
	f.rdb = server.Client(func(o *redis.Options) { o.Username, o.Password = name, "secret" })
	var err error
	if f.client, err = producer.New(f.rdb, producer.WithPrefix(name+":"), producer.WithPollInterval(50*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.end)
	return f
}

// prefixRights returns the rights in the line of docs/redis.md for an environment with the prefix "staging:". Except
// for keys and channels, these rights must equal the rights in README.md.
func prefixRights(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "redis.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rights, ok := strings.Cut(string(page), "\nACL SETUSER tuma-staging on >PASSWORD ~staging:* &staging:* ")
	rights, _, _ = strings.Cut(rights, "\n")
	if _, commands, _ := strings.Cut(strings.Join(documentedRights(t), " "), "&asynq:* "); !ok || rights != commands {
		t.Fatalf("docs/redis.md gives the user of an environment the rights %q, and README.md gives %q", rights, commands)
	}
	return append([]string{"~staging:*", "&staging:*"}, strings.Fields(rights)...)
}

// bareKey finds a command in the output of MONITOR whose first key has no prefix.
var bareKey = regexp.MustCompile(`(?i)\] "[a-z]+" ("[0-9a-f]{40}" "\d+" |"MATCH" )?"(tuma|asynq):`)

// watchKeys watches all commands that Redis runs, including those in scripts. The returned function stops the watch.
// It fails the test if a command had a key without a prefix, or if Redis ran fewer commands than the parameter
// "least".
func watchKeys(t *testing.T, server *redistest.Server) (end func(least int)) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	if ok, err := lines.ReadString('\n'); err != nil || ok != "+OK\r\n" {
		t.Fatalf("MONITOR: %q, %v", ok, err)
	}
	var seen int
	var bare []string
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if seen++; bareKey.MatchString(line) && len(bare) < 5 {
				bare = append(bare, line[:min(len(line), 200)])
			}
		}
	})
	stop := sync.OnceFunc(func() {
		_ = conn.Close() // ends the reader
		reading.Wait()
	})
	t.Cleanup(stop)
	return func(least int) {
		t.Helper()
		stop()
		if len(bare) > 0 || seen < least {
			t.Errorf("of %d commands, want at least %d, some have a key without a prefix: %q", seen, least, bare)
		}
	}
}

func TestPrefix_BareKeysAreFound(t *testing.T) {
	t.Parallel()
	for line, bare := range map[string]bool{
		`+1.2 [0 lua] "HGET" "tuma:{a}" "f"`: true, `+1.2 [0 127.0.0.1:1] "evalsha" "` + strings.Repeat("a1", 20) + `" "2" "asynq:{q}:p"`: true,
		`+1.2 [0 lua] "HGET" "one:tuma:{a}" "tuma:f"`: false, `+1.2 [0 127.0.0.1:1] "publish" "asynq:cancel" "x"`: true,
	} {
		if bareKey.MatchString(line) != bare {
			t.Errorf("%s: want a bare key %t", line, bare)
		}
	}
}

// Two environments use one Redis, with the same names of accounts and campaigns. Their users have no right to keys
// outside of their prefix. So Redis itself refuses each key without the prefix, even in scripts.
func TestPrefix_TwoEnvironmentsShareARedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithAOF("everysec"))
	bareKeys := watchKeys(t, server)
	one, two := newEnvironment(t, server, "one"), newEnvironment(t, server, "two")
	for _, f := range []*deployment{one, two} {
		f.start()
		f.start()
	}
	one.must("optout", "add", "0710000007")
	two.must("hold", "kobo-main")
	send := []string{"send", "--id", "august", "--via", "kobo-main", "--body", text, "--file"}
	one.must(append(send, one.recipients("list.csv", 3000))...)
	two.must(append(send, two.recipients("list.csv", 2000))...)
	if s := one.wait("august", time.Minute); s.Accepted != 2999 || s.Skipped != 1 {
		t.Errorf("environment one: got status %+v, want Accepted 2999, Skipped 1", s)
	}
	if s := two.status("august"); s.Pending != 2000 || two.gateway.Stats().Calls != 0 {
		t.Errorf("environment two is on hold: got status %+v, want Pending 2000", s)
	}
	two.must("release", "kobo-main")
	if s := two.wait("august", time.Minute); s.Accepted != 2000 {
		t.Errorf("environment two: got status %+v, want Accepted 2000", s)
	}
	two.compare("august", 2000)
	if s := one.gateway.Stats(); s.Accepted != 2999 || s.Duplicates != 0 {
		t.Errorf("environment one: got gateway stats %+v, want Accepted 2999, Duplicates 0", s)
	}
	one.runCommands()
	two.runCommands()
	one.must("purge", "august")
	if _, errOut, exit := one.tuma("results", "august"); exit == 0 {
		t.Errorf("environment one still has the purged campaign: %s", errOut)
	}
	if s := two.status("august"); s.Accepted != 2000 {
		t.Errorf("environment two after a purge in environment one: got status %+v, want Accepted 2000", s)
	}
	bareKeys(1000)
	admin := server.Client()
	keys, err := admin.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, "one:") && !strings.HasPrefix(key, "two:") {
			t.Errorf("the key %s belongs to neither environment", key)
		}
	}
	if refused, err := admin.ACLLog(t.Context(), 10).Result(); err != nil || len(refused) != 0 {
		t.Errorf("Redis refused commands: %+v, %v", refused, err)
	}
}

// runCommands runs all other tuma commands that use Redis. A command fails if the user of Redis lacks a right.
func (f *deployment) runCommands() {
	f.t.Helper()
	for _, line := range []string{"check", "accounts", "list", "find 0710000001", "events", "inbox", "keys create --name shop --scopes send", "audit",
		"message send --via kobo-main --to 0710999999 --body Hello --wait"} {
		f.must(strings.Fields(line)...)
	}
}
