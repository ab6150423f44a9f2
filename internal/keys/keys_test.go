package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/script/scripttest"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func TestScriptArgs_HaveTheNamesOfTheGoFields(t *testing.T) {
	t.Parallel()
	scripttest.Arguments(t, luaFiles, "", map[string][]any{"take": {takeArgs{}}, "rotate": {rotateArgs{}}, "give_back": {giveBackArgs{}}})
	scripttest.SameNames(t, luaFiles)
}

func newStore(t *testing.T) *Store {
	t.Helper()
	return New(script.NewRunner(redistest.Start(t).Client(), script.Durability{}))
}

func TestVerify_OnlyTheWholeKey(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	secret, made, err := s.Create(t.Context(), Key{Name: "shop", Scopes: []Scope{ScopeSend}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Verify(t.Context(), secret); err != nil || got.ID != made.ID || !got.Allows(ScopeRead) || !got.Allows(ScopeSend) || got.Allows(ScopeAdmin) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, wrong := range []string{"", secret[:len(secret)-1], secret + "x", strings.ToUpper(secret), prefix + made.ID, prefix + "_", "Bearer " + secret} {
		if _, err := s.Verify(t.Context(), wrong); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v, want ErrUnknown", wrong, err)
		}
	}
	for key, value := range s.rdb.HGetAll(t.Context(), listKey).Val() {
		if _, random, _ := strings.Cut(strings.TrimPrefix(secret, prefix), "_"); strings.Contains(key+value, random) {
			t.Error("Redis holds the key itself")
		}
	}
}

func TestVerify_ExpiredAndRevoked(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	now := time.Now()
	s.now = func() time.Time { return now }
	secret, made, err := s.Create(t.Context(), Key{Name: "shop", Scopes: []Scope{ScopeRead}, ExpiresAt: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(59 * time.Minute)
	k, err := s.Verify(t.Context(), secret)
	if err != nil || s.NoteUsed(t.Context(), k) != nil {
		t.Errorf("before its end: %v", err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 1 || list[0].LastUsedAt.Sub(now).Abs() > time.Second {
		t.Errorf("the list is %+v, %v", list, err)
	}
	now = now.Add(time.Minute)
	if _, err := s.Verify(t.Context(), secret); !errors.Is(err, ErrUnknown) {
		t.Errorf("at its end: %v", err)
	}
	for _, want := range []bool{true, false} {
		if found, err := s.Revoke(t.Context(), made.ID); err != nil || found != want {
			t.Errorf("Revoke returned %t, %v; want %t", found, err, want)
		}
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("the list is %+v, %v; want none", list, err)
	}
}

func TestCreate_AllMistakes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, _, err := s.Create(t.Context(), Key{Name: "a\nb", Scopes: []Scope{"all"}, Daily: -1, ExpiresAt: time.Unix(1, 0)})
	for _, want := range []string{"name", "scope", "negative", "end"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to name %s", err, want)
		}
	}
}

// The client repeats a script whose answer was lost. The repeated script must not count the request again,
// even after other requests.
func TestTake_RepeatedScriptCountsOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	run := func(token string, messages int) string {
		t.Helper()
		out, err := s.scripts.Run(t.Context(), takeScript, []string{spentKey("k")}, script.Args(takeArgs{Token: token, Messages: messages, Daily: 10})...)
		if err != nil {
			t.Fatal(err)
		}
		return out[0]
	}
	for range 3 {
		if got := run("token-000001", 4) + run("token-000002", 4); got != "okok" {
			t.Errorf("got %s", got)
		}
	}
	if got := run("token-000003", 3); got != "spent" {
		t.Errorf("11 of 10 messages: got %s", got)
	}
	for range 3 {
		run("token-000004", -4)
	}
	if got := run("token-000005", 6) + run("token-000006", 1); got != "okspent" {
		t.Errorf("after 4 were given back once: got %s, want room for 6", got)
	}
}

// Many processes together never take more messages than the daily limit. Messages that are given back can
// be taken again.
func TestTake_DailyLimitOfAllProcesses(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := Key{ID: "k", Daily: 100}
	var taken, refused atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 5 {
				switch err := s.Take(t.Context(), k, 0, 3); {
				case err == nil:
					taken.Add(3)
				case errors.Is(err, ErrSpent):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if taken.Load() != 99 || refused.Load() != 67 {
		t.Errorf("%d messages taken and %d requests refused, want 99 and 67", taken.Load(), refused.Load())
	}
	if err := s.GiveBack(t.Context(), k, 10); err != nil {
		t.Fatal(err)
	}
	if err := s.Take(t.Context(), k, 0, 11); err != nil {
		t.Errorf("after 10 were given back: %v", err)
	}
	if err := s.Take(t.Context(), k, 0, 1); !errors.Is(err, ErrSpent) {
		t.Errorf("one more: %v, want ErrSpent", err)
	}
}

func TestMaySend_BoundKeys(t *testing.T) {
	t.Parallel()
	k := Key{Accounts: []string{"a", "b"}, Senders: []string{"ACME"}}
	for _, tc := range []struct {
		account, sender string
		ok              bool
	}{{"a", "ACME", true}, {"c", "ACME", false}, {"b", "SHOP", false}, {"", "ACME", false}, {"a", "", false}} {
		if err := k.MaySend(tc.account, tc.sender); (err == nil) != tc.ok {
			t.Errorf("account %q, sender %q: %v, want allowed %t", tc.account, tc.sender, err, tc.ok)
		}
	}
	free := Key{}
	if err := free.MaySend("", ""); err != nil {
		t.Errorf("a free key: %v", err)
	}
}

// commandLog is a hook of a Redis client that keeps the names of the commands.
type commandLog struct{ names []string }

func (c *commandLog) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *commandLog) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.names = append(c.names, fmt.Sprint(cmd.Args()[0], " ", cmd.Args()[1]))
		return next(ctx, cmd)
	}
}

func (c *commandLog) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.names = append(c.names, "a pipeline")
		return next(ctx, cmds)
	}
}

// For a wrong, revoked, expired or unknown key, Verify sends the same commands to Redis and takes the same
// time.
func TestVerify_InvalidKeysTakeTheSameSteps(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	s := New(script.NewRunner(rdb, script.Durability{}))
	now := time.Now()
	s.now = func() time.Time { return now }
	create := func(ends time.Time) (string, Key) {
		t.Helper()
		secret, made, err := s.Create(t.Context(), Key{Name: "shop", Scopes: []Scope{ScopeSend}, ExpiresAt: ends})
		if err != nil {
			t.Fatal(err)
		}
		return secret, made
	}
	valid, _ := create(time.Time{})
	revoked, gone := create(time.Time{})
	if _, err := s.Revoke(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	expired, _ := create(now.Add(time.Second))
	now = now.Add(time.Minute)
	invalid := map[string]string{"wrong": valid[:len(valid)-4] + "AAAA", "revoked": revoked, "expired": expired, "unknown": prefix + "ffffffffff_" + strings.Split(valid, "_")[2], "malformed": strings.Repeat("x", len(valid))}
	var commands commandLog
	rdb.AddHook(&commands)
	took := map[string][]time.Duration{}
	for range 300 {
		for name, secret := range invalid { // test the secrets in turn, so that a slow moment of the machine affects all of them equally
			commands.names = nil
			began := time.Now()
			_, err := s.Verify(t.Context(), secret)
			took[name] = append(took[name], time.Since(began))
			if !errors.Is(err, ErrUnknown) {
				t.Fatalf("%s: %v", name, err)
			}
			if !slices.Equal(commands.names, []string{"hget " + listKey}) {
				t.Fatalf("%s: the commands are %q, want one HGET of the list", name, commands.names)
			}
		}
	}
	medians := map[string]time.Duration{}
	for name, all := range took {
		slices.Sort(all)
		medians[name] = all[len(all)/2]
	}
	for name, m := range medians {
		if 2*m < medians["wrong"] || m > 2*medians["wrong"] {
			t.Errorf("medians are %v: %s differs from wrong", medians, name)
		}
	}
}
