package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

var topologyFor = flag.Duration("topology.for", 0, "how long to send campaigns while Redis and workers are killed; at least one campaign at each gateway is sent")

// keyed is the number of recipients of a campaign at the gateway with idempotency keys. keyless is the number of
// recipients of a campaign at the gateway without keys. At the rates below, each campaign takes about eight seconds
// without faults.
const keyed, keyless = 4800, 800

// topology is a deployment on a Redis with a special topology or configuration. It has an account at a gateway with
// idempotency keys, and an account at a gateway without keys.
type topology struct {
	*deployment
	alive []int // indexes of the running workers in deployment.workers
	kills int
}

// newTopology writes a tuma.yaml with the given section redis. The client rdb must use the Redis of this section.
func newTopology(t *testing.T, section string, rdb redis.UniversalClient, options ...producer.Option) *topology {
	t.Helper()
	gateway := catalog.Simulate(simulator.Options{Latency: 50 * time.Millisecond})
	srv := httptest.NewServer(gateway)
	t.Cleanup(func() {
		gateway.Close()
		srv.Close()
	})
	x := &topology{deployment: &deployment{t: t, dir: t.TempDir(), gateway: gateway, rdb: rdb}}
	// With "appendfsync everysec" a claim waits for up to a second, which counts towards the timeout.
	x.write("tuma.yaml", "redis: {"+section+"}\ndefault_country: KE\nwindows: off\naccounts:\n"+
		"  kobo-main: {provider: kobo, base_url: '"+srv.URL+"/kobo', user: demo, pass: demo, sender: ACME, timeout: 3s, max_recipients: 50, rate: 600/s}\n"+
		"  at-main: {provider: africastalking, base_url: '"+srv.URL+"/africastalking', username: demo, api_key: demo, sender: ACME, timeout: 3s, max_recipients: 5, rate: 100/s}\n")
	var err error
	if x.client, err = producer.New(rdb, options...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.end)
	for _, name := range []string{"accept_close", "accept_502", "close"} {
		if err := gateway.Fail(simulator.Fault{Name: name, Gateway: "kobo", P: 0.05}); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// The method "ride" sends campaigns with two workers. In each round it calls breakRedis with the ID of a campaign
// that is being sent, and kills workers. Then it compares each result with the messages that the gateways have
// accepted.
func (x *topology) ride(breakRedis func(id string)) {
	x.t.Helper()
	x.must("check")
	for range 2 {
		x.start()
		x.alive = append(x.alive, len(x.workers)-1)
	}
	round, begun := 0, time.Now()
	for ; round == 0 || time.Since(begun) < *topologyFor; round++ {
		x.round(round, breakRedis)
	}
	s := x.gateway.Stats()
	x.t.Logf("%d rounds in %s: %d kills of workers, %d faults and %d replays at the gateways; duplicates %d, conflicts %d", round,
		time.Since(begun).Round(time.Second), x.kills, s.Faults, s.Replays, s.Duplicates, s.Conflicts)
	if s.Duplicates != 0 || s.Conflicts != 0 {
		x.t.Errorf("got gateway stats %+v, want 0 duplicates and 0 conflicts", s)
	}
}

// The method "round" sends one campaign at each gateway.
func (x *topology) round(round int, breakRedis func(id string)) {
	x.t.Helper()
	withKeys, without := fmt.Sprintf("keyed-%d", round), fmt.Sprintf("keyless-%d", round)
	for _, c := range []struct {
		id, via string
		n       int
	}{{withKeys, "kobo-main", keyed}, {without, "at-main", keyless}} {
		to := campaignNumbers(2*round+1, keyed)
		if c.via == "at-main" {
			to = campaignNumbers((2*round+2)*keyed/keyless-keyed/keyless+1, keyless)
		}
		if _, err := x.client.Enqueue(x.t.Context(), producer.Campaign{ID: c.id, Via: c.via, Body: text}, to); err != nil {
			x.t.Fatal(err)
		}
	}
	before := x.gateway.Stats().Calls
	x.eventually(30*time.Second, "some calls", func() bool { return x.gateway.Stats().Calls > before+20 })
	breakRedis(withKeys)
	after := x.gateway.Stats().Calls
	x.eventually(90*time.Second, "calls after the fault of Redis", func() bool { return x.gateway.Stats().Calls > after })
	x.killWorkersUntilEnd(withKeys, without)
	x.audit(withKeys, keyed, false)
	x.audit(without, keyless, true)
}

// killsPerRound is the largest number of workers that are killed while a campaign is sent.
const killsPerRound = 8

// killWorkersUntilEnd kills a worker every two seconds until all campaigns have ended. It skips a kill if no call
// was made since the last kill. It kills from one to killsPerRound workers.
func (x *topology) killWorkersUntilEnd(ids ...string) {
	x.t.Helper()
	limit := time.After(3 * time.Minute)
	kill, look := time.NewTicker(2*time.Second), time.NewTicker(100*time.Millisecond)
	defer kill.Stop()
	defer look.Stop()
	killed, calls := 0, int64(0)
	for len(ids) > 0 {
		select {
		case <-limit:
			x.t.Fatalf("%v have not ended; gateway %+v", ids, x.gateway.Stats())
		case <-kill.C:
			now := x.gateway.Stats().Calls
			if killed == killsPerRound || now == calls {
				continue // on a slow machine, a new worker may need more than two seconds until its first call
			}
			calls = now
			i := rand.IntN(len(x.alive))
			x.kill(x.workers[x.alive[i]])
			x.spawn()
			x.alive[i] = len(x.workers) - 1
			x.kills++
			killed++
		case <-look.C:
			if s, err := x.client.Status(x.t.Context(), ids[0]); killed > 0 && err == nil && s.Ended() {
				x.checkI1(s)
				ids = ids[1:]
			}
		}
	}
}

// The method "audit" compares the result of every recipient with the gateways' count. A killed worker may leave
// recipients with an unknown outcome, but only at a gateway without idempotency keys.
func (x *topology) audit(id string, want int, mayBeUnknown bool) {
	x.t.Helper()
	rows, unknown := 0, 0
	for r, err := range x.client.Results(x.t.Context(), id) {
		if err != nil {
			x.t.Fatal(err)
		}
		rows++
		got := x.gateway.Accepted(mustNumber(x.t, r.MSISDN))
		switch {
		case r.Status == "accepted" && got == 1:
		case r.Status == "unknown" && mayBeUnknown && got <= 1:
			unknown++
		default:
			x.t.Fatalf("%s row %d is %s (%s %s), and the gateway accepted it %d times", id, r.Row, r.Status, r.Reason, r.Code, got)
		}
	}
	if rows != want || unknown > want/2 {
		x.t.Errorf("%s: got %d results, want %d; %d of them are unknown", id, rows, want, unknown)
	}
	x.t.Logf("%s: %d recipients, %d unknown", id, rows, unknown)
}

// userOf makes a user of the Redis with the rights that README.md names.
func userOf(t *testing.T) redistest.Option {
	t.Helper()
	return redistest.WithUser("tuma", "secret", documentedRights(t)...)
}

// userUnder makes a user of the Redis with the rights that docs/redis.md names for an environment.
func userUnder(t *testing.T, environment string) redistest.Option {
	t.Helper()
	rights := prefixRights(t)
	for i, right := range rights {
		rights[i] = strings.ReplaceAll(right, "staging", environment)
	}
	return redistest.WithUser("tuma", "secret", rights...)
}

// checkRefusals fails the test if the server refused a key or a channel. It ignores refused commands: before Redis
// 7.2, a worker tries WAITAOF and CONFIG GET, and Redis refuses these two commands.
func checkRefusals(t *testing.T, s *redistest.Server) {
	t.Helper()
	refused, err := s.Client().ACLLog(t.Context(), 100).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refused {
		if r.Reason != "command" {
			t.Errorf("Redis refused the %s %s", r.Reason, r.Object)
		}
	}
}

// The promoted replica must have the claim of every call that was made.
func TestTopology_SentinelPromotesAReplica(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t, 2, redistest.WithAOF("everysec"), userOf(t))
	x := newTopology(t, "url: '"+s.URL()+"', durability: 'replicas:1'", s.Client(), producer.WithDurability(producer.Durability{Replicas: 1}))
	x.ride(func(string) {
		old := s.Master()
		s.Promote()
		old.Restart()
	})
}

// The test kills the master that stores the campaign. The keys have a prefix, and the user of Redis has no right to
// keys without this prefix.
func TestTopology_ClusterLosesAMaster(t *testing.T) {
	t.Parallel()
	s := redistest.StartCluster(t, 3, redistest.WithAOF("everysec"), userUnder(t, "prod"))
	x := newTopology(t, "url: '"+s.URL()+"', prefix: 'prod:', durability: 'replicas:1'", s.Client(),
		producer.WithPrefix("prod:"), producer.WithDurability(producer.Durability{Replicas: 1}))
	x.ride(func(id string) {
		s.Failover("prod:tuma:{" + id + "}:l").Restart()
		s.AwaitReplicas()
	})
	for _, n := range s.Nodes {
		checkRefusals(t, n)
	}
}

// The user of Redis has no right to keys without the prefix. The certificate of Redis comes from a private CA.
func TestTopology_TLSWithAUserAndAPrefix(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := redistest.Start(t, redistest.WithAOF("always"), redistest.WithTLS(folder), userUnder(t, "prod"))
	files := fmt.Sprintf("ca_file: '%[1]s/ca.pem', cert_file: '%[1]s/client.pem', key_file: '%[1]s/client.key', server_name: %[2]s", folder, redistest.TLSName)
	x := newTopology(t, "url: '"+s.TLSURL()+"', prefix: 'prod:', durability: fsync, tls: {"+files+"}", s.Client(s.AsUser), producer.WithPrefix("prod:"))
	x.ride(func(string) { s.Kill(); s.Restart() })
	checkRefusals(t, s)
}

// From Redis 7.2 on, WAITAOF waits for the disk at each claim. With an older Redis, the setting "appendfsync
// always" has that effect.
func TestTopology_OneServerThatStoresEachClaim(t *testing.T) {
	t.Parallel()
	fsync := "everysec"
	old := strings.Contains(fmt.Sprint(redistest.Start(t).Client().Do(t.Context(), "waitaof", 0, 0, 1).Err()), "unknown command")
	if old {
		fsync = "always"
	}
	s := redistest.Start(t, redistest.WithAOF(fsync), userOf(t))
	x := newTopology(t, "url: '"+s.UserURL()+"', durability: fsync", s.Client(s.AsUser), producer.WithDurability(producer.Durability{Fsync: true}))
	x.ride(func(string) { s.Kill(); s.Restart() })
	stats, err := s.Client().Info(t.Context(), "commandstats").Result()
	if _, after, _ := strings.Cut(stats, "cmdstat_waitaof:calls="); err != nil || !old && (after == "" || after[0] == '0') {
		t.Errorf("WAITAOF was not used, although this Redis has it: %v", err)
	}
}
