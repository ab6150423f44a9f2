package redisguard

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// The function "user" returns an option for a Redis user with the right to run scripts and the
// command SET. The parameter "rights" has further rights, such as key patterns.
func user(rights ...string) redistest.Option {
	return redistest.WithUser("tuma", "pw", append([]string{"+set", "+eval", "+evalsha", "+@connection"}, rights...)...)
}

func TestTryWrites_WritesTwoKeysThatExpire(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, user("~tuma:*", "~asynq:*"))
	if err := TryWrites(t.Context(), s.Client(s.AsUser)); err != nil {
		t.Fatal(err)
	}
	rdb := s.Client()
	keys, err := rdb.Keys(t.Context(), "*").Result()
	slices.Sort(keys)
	if err != nil || !slices.Equal(keys, []string{"asynq:probe", "tuma:probe"}) {
		t.Errorf("got keys %q, %v, want asynq:probe and tuma:probe", keys, err)
	}
	for _, k := range keys {
		if ttl := rdb.PTTL(t.Context(), k).Val(); ttl <= 0 || ttl > 10*time.Second {
			t.Errorf("%s expires after %s, want at most 10 s", k, ttl)
		}
	}
}

// The answers are those of Redis 7.0.15, and of Redis 8.0.2 and Valkey 8.0.1.
func TestExplain_AnswersOfEveryRelease(t *testing.T) {
	t.Parallel()
	const place = " script: 67ed14c1cb086d8c2fcf91ebe13410ba087fd0f8, on @user_script:1."
	for answer, lacksRight := range map[string]bool{
		"ERR The user executing the script can't run this command or subcommand":                                     true,
		"ERR The user executing the script can't access at least one of the keys mentioned in the command arguments": true,
		"NOPERM this user has no permissions to access one of the keys used as arguments":                            true,
		"ERR ACL failure in script: User tuma has no permissions to run the 'set' command":                           true,
		"ERR ACL failure in script: No permissions to access a key":                                                  true,
		"NOPERM No permissions to access a key":                                                                      true,
		"OOM command not allowed when used memory > 'maxmemory'.":                                                    false,
		"READONLY You can't write against a read only replica.":                                                      false,
	} {
		for _, where := range []string{"", place} {
			if text, lacks := explain(answer + where); text != answer || lacks != lacksRight {
				t.Errorf("%q: got %q, %t; want the text without the place, %t", answer+where, text, lacks, lacksRight)
			}
		}
	}
}

func TestTryWrites_NamesWhatIsRefused(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		options []redistest.Option
		harm    func(*testing.T, *redistest.Server)
		says    string // a regular expression, because the text depends on the release of Redis
		unfit   bool
	}{
		"no right under asynq:": {[]redistest.Option{user("~tuma:*")}, nil, `redis refuses writes under asynq:\*: NOPERM`, true},
		"no right under tuma:":  {[]redistest.Option{user("~asynq:*")}, nil, `redis refuses writes under tuma:\*: NOPERM`, true},
		"no right to write":     {[]redistest.Option{user("~*", "-set")}, nil, `under tuma:\* and asynq:\*: ERR (The user executing the script can't run this command|ACL failure in script: User tuma has no permissions to run the 'set' command)`, true},
		"no right to run scripts": {[]redistest.Option{user("~*", "-eval")}, nil,
			`under tuma:\* and asynq:\*: NOPERM (this user|User tuma) has no permissions to run the 'eval' command`, true},
		"too few replicas": {[]redistest.Option{redistest.WithConfig("min-replicas-to-write", "1")}, nil, "NOREPLICAS", false},
		"no memory": {[]redistest.Option{redistest.WithConfig("maxmemory", "1", "maxmemory-policy", "noeviction")}, nil,
			`under tuma:\* and asynq:\*: OOM`, false},
		"no room on the disk": {[]redistest.Option{redistest.WithConfig("save", "3600 1")}, breakSnapshot, "MISCONF", false},
		"a read-only replica": {[]redistest.Option{redistest.WithConfig("replicaof", "127.0.0.1 1")}, nil, "READONLY", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, x.options...)
			if x.harm != nil {
				x.harm(t, s)
			}
			rdb := s.Client()
			if strings.HasPrefix(name, "no right") {
				rdb = s.Client(s.AsUser)
			}
			err := TryWrites(t.Context(), rdb)
			if !errors.Is(err, ErrRefusesWrites) || errors.Is(err, ErrUnfit) != x.unfit || !regexp.MustCompile(x.says).MatchString(err.Error()) ||
				strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "user_script") {
				t.Errorf("got %v, want a refusal of one line like %s; unfit: %t", err, x.says, x.unfit)
			}
			if MayPass(err) == x.unfit {
				t.Errorf("MayPass: got %t for %v, want the opposite", !x.unfit, err)
			}
			if x.unfit != (err != nil && strings.Contains(err.Error(), "ACL SETUSER")) {
				t.Errorf("%v: want advice about the rights: %t", err, x.unfit)
			}
		})
	}
}

// breakSnapshot makes the next snapshot of a server fail. After that, Redis refuses writes.
// breakSnapshot creates a directory where the file of the snapshot belongs.
func breakSnapshot(t *testing.T, s *redistest.Server) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(s.Dir(), "dump.rdb", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	rdb := s.Client()
	if err := rdb.Set(t.Context(), "a", "b", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.BgSave(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		info, err := rdb.InfoMap(t.Context(), "persistence").Result()
		if err == nil && info["Persistence"]["rdb_last_bgsave_status"] == "err" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the snapshot did not fail")
		}
	}
}

func TestTryWrites_ConnectionErrorMayPass(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Kill()
	err := TryWrites(t.Context(), s.Client(func(o *redis.Options) { o.MaxRetries, o.DialerRetries = -1, 1 }))
	if err == nil || errors.Is(err, ErrRefusesWrites) || !MayPass(err) {
		t.Errorf("got %v, want a connection error that may pass", err)
	}
}
