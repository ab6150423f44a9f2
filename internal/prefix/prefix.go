// Package prefix puts every key of Tuma and of asynq under a prefix, so that several environments
// share one Redis. Add gives a client a hook that changes the keys of each command before the command
// is sent. All other code of Tuma, and asynq, use the names without the prefix.
//
// A hook is necessary, because asynq builds its own keys in Go and in Lua, and Tuma cannot change this
// code. The hook sees the keys of every command. It knows which arguments of each permitted command
// are keys, and refuses every other command. So a command of a later release cannot reach another
// environment.
package prefix

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"weak"

	"github.com/redis/go-redis/v9"
)

// maxLength is the maximum length of a prefix in bytes. Every key in Redis contains the prefix.
const maxLength = 64

// allowed are the characters of a prefix. Braces are not allowed, because they would change the
// hash slots of a cluster. The other missing characters have a meaning in the patterns of ACL rules
// and of SCAN.
const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:/"

// Each key and channel of Tuma and of asynq begins with one of the roots.
var roots = []string{"tuma:", "asynq:"}

// Check returns an error if a text cannot be a prefix. The empty text is a valid prefix that changes
// nothing.
func Check(prefix string) error {
	if len(prefix) > maxLength {
		return fmt.Errorf("has %d characters; the maximum is %d", len(prefix), maxLength)
	}
	if strings.ContainsFunc(prefix, func(r rune) bool { return !strings.ContainsRune(allowed, r) }) {
		return fmt.Errorf("%q must consist of ASCII letters, digits and . - _ : /", prefix)
	}
	if isOwn(prefix) {
		return fmt.Errorf("%q must not begin with tuma: or asynq:, which begin the keys of an environment without a prefix", prefix)
	}
	return nil
}

// isOwn reports whether a name without the prefix is the name of a key of Tuma or of asynq.
func isOwn(name string) bool {
	for _, root := range roots {
		if strings.HasPrefix(name, root) {
			return true
		}
	}
	return false
}

// The map "clients" has the prefix of each client for which Add was called. The keys are weak
// pointers, so that an unused client can be freed.
var clients sync.Map

// The lock "adding" serializes calls of Add, so that a client gets only one hook.
var adding sync.Mutex

// identity returns the key of a client in the map "clients", or nil if the client cannot have a
// prefix.
func identity(rdb redis.UniversalClient) any {
	switch c := rdb.(type) {
	case *redis.Client:
		return weak.Make(c)
	case *redis.ClusterClient:
		return weak.Make(c)
	}
	return nil
}

// Of returns the prefix of a client, or "" if the client has no prefix.
func Of(rdb redis.UniversalClient) string {
	prefix, _ := clients.Load(identity(rdb))
	text, _ := prefix.(string)
	return text
}

// Add gives a client a prefix. From then on the client may be used only for Tuma and asynq,
// because its hook changes the keys of all commands. The hook refuses a command with a key that
// belongs neither to Tuma nor to asynq. A second call with the same prefix changes nothing. An empty
// prefix for a client without a prefix also changes nothing. Add returns an error if the client
// already has another prefix. It sends nothing to Redis.
func Add(rdb redis.UniversalClient, prefix string) error {
	if err := Check(prefix); err != nil {
		return fmt.Errorf("prefix of redis keys: %w", err)
	}
	id := identity(rdb)
	adding.Lock()
	defer adding.Unlock()
	switch old := Of(rdb); {
	case old == prefix:
		return nil
	case old != "":
		return fmt.Errorf("prefix of redis keys: the client has the prefix %q already, so it cannot have %q", old, prefix)
	case id == nil:
		return fmt.Errorf("prefix of redis keys: a client of type %T cannot have a prefix", rdb)
	}
	clients.Store(id, prefix)
	forget := func(id any) { clients.Delete(id) }
	switch c := rdb.(type) {
	case *redis.Client:
		runtime.AddCleanup(c, forget, id)
	case *redis.ClusterClient:
		runtime.AddCleanup(c, forget, id)
	}
	rdb.AddHook(hook{prefix})
	return nil
}

// errForeign is part of the error for a command that the hook refuses.
var errForeign = errors.New("a redis client with a prefix serves only Tuma")

// Subscriber returns a client that subscribes to channels under the prefix, because a hook cannot
// change subscriptions. All other commands go to rdb, which has the same prefix. asynq's servers
// need such a client.
func Subscriber(rdb redis.UniversalClient, prefix string) redis.UniversalClient {
	if prefix == "" {
		return rdb
	}
	return subscriber{rdb, prefix}
}

type subscriber struct {
	redis.UniversalClient
	prefix string
}

// Subscribe subscribes to channels whose names have no prefix yet.
func (s subscriber) Subscribe(ctx context.Context, channels ...string) *redis.PubSub {
	full := make([]string, len(channels))
	for i, c := range channels {
		full[i] = s.prefix + c
	}
	return s.UniversalClient.Subscribe(ctx, full...)
}
