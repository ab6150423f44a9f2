package prefix

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// hook is a redis.Hook that puts the prefix before the keys of each command. When the command has
// ended, the hook restores the command's keys.
type hook struct{ prefix string }

// The type "done" marks the context of a command whose keys have the prefix already. A cluster client
// passes its commands to a client of one node, and that client may also have a hook.
type done struct{}

// DialHook implements redis.Hook.
func (h hook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if ctx.Value(done{}) != nil {
			return next(ctx, cmd)
		}
		restore, err := h.rewrite(cmd)
		if err != nil {
			cmd.SetErr(err)
			return err
		}
		defer restore()
		err = next(context.WithValue(ctx, done{}, true), cmd)
		h.strip(cmd)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook. If it refuses one command of a pipeline, it sends no
// command of the pipeline.
func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if ctx.Value(done{}) != nil {
			return next(ctx, cmds)
		}
		for _, cmd := range cmds {
			restore, err := h.rewrite(cmd)
			if err != nil {
				for _, c := range cmds {
					c.SetErr(err)
				}
				return err
			}
			defer restore()
		}
		err := next(context.WithValue(ctx, done{}, true), cmds)
		for _, cmd := range cmds {
			h.strip(cmd)
		}
		return err
	}
}

// rewrite puts the prefix before the keys of a command. The result "restore" is a function that
// removes the prefix from these keys.
func (h hook) rewrite(cmd redis.Cmder) (restore func(), err error) {
	args := cmd.Args()
	places, err := find(args)
	if err != nil {
		return nil, fmt.Errorf("redis command %s: %w: %w", cmd.FullName(), errForeign, err)
	}
	for _, i := range places {
		args[i] = h.prefix + args[i].(string) //nolint:forcetypeassert // find returns the places of strings
	}
	return func() {
		for _, i := range places {
			if text, ok := args[i].(string); ok {
				args[i] = text[len(h.prefix):]
			}
		}
	}, nil
}

// strip removes the prefix from the keys in an answer. SCAN is the only command in the table whose
// answer has keys.
func (h hook) strip(cmd redis.Cmder) {
	scan, ok := cmd.(*redis.ScanCmd)
	if !ok || scan.Name() != "scan" {
		return
	}
	keys, cursor := scan.Val()
	for i, key := range keys {
		keys[i] = strings.TrimPrefix(key, h.prefix)
	}
	scan.SetVal(keys, cursor)
}

// The function "find" returns the places in a command that get the prefix. It returns an error for an
// unknown command, or if a key belongs neither to Tuma nor to asynq.
func find(args []any) ([]int, error) {
	name, _ := args[0].(string)
	name = strings.ToLower(name)
	where, ok := commands[name]
	if !ok {
		return nil, errors.New("the command is not known")
	}
	places, err := where(args)
	if err != nil {
		return nil, err
	}
	for _, i := range places {
		key, ok := args[i].(string)
		if !ok {
			return nil, fmt.Errorf("the key has type %T; must be a string", args[i])
		}
		if !isOwn(key) {
			return nil, fmt.Errorf("the key %.40q begins with none of %s", key, strings.Join(roots, ", "))
		}
	}
	return places, nil
}

// A function of the type "places" returns the places of the keys in a command. args[0] is the name of the command.
type places func(args []any) ([]int, error)

// The function "none" is for commands without a key.
func none([]any) ([]int, error) { return nil, nil }

// The function "at" is for commands whose keys are at fixed places.
func at(keys ...int) places {
	return func(args []any) ([]int, error) {
		if keys[len(keys)-1] >= len(args) {
			return nil, errors.New("the command has no key")
		}
		return keys, nil
	}
}

// The function "rest" is for commands whose arguments are all keys.
func rest(args []any) ([]int, error) {
	out := make([]int, 0, len(args)-1)
	for i := 1; i < len(args); i++ {
		out = append(out, i)
	}
	return out, nil
}

// The function "script" is for commands that run a script. Their parts are name, script, number of
// keys, keys and arguments. The scripts of asynq build keys from arguments such as
// "asynq:{queue}:t:". The scripts of Tuma build keys only from other keys.
func script(args []any) ([]int, error) {
	if len(args) < 3 {
		return nil, errors.New("the command does not name the number of its keys")
	}
	n, err := strconv.Atoi(fmt.Sprint(args[2]))
	if err != nil || n < 1 || 3+n > len(args) {
		return nil, fmt.Errorf("the number of keys is %v; must be from 1 to %d", args[2], len(args)-3)
	}
	out := make([]int, 0, n+4)
	for i := range n {
		out = append(out, 3+i)
	}
	if first, _ := args[3].(string); !strings.HasPrefix(first, "asynq:") {
		return out, nil
	}
	for i := 3 + n; i < len(args); i++ {
		if text, _ := args[i].(string); strings.HasPrefix(text, "asynq:{") {
			out = append(out, i)
		}
	}
	return out, nil
}

// The function "scan" is for SCAN. Without a pattern, SCAN would return the keys of all environments.
func scan(args []any) ([]int, error) {
	for i := 2; i+1 < len(args); i += 2 {
		if word, _ := args[i].(string); strings.EqualFold(word, "match") {
			return []int{i + 1}, nil
		}
	}
	return nil, errors.New("the command needs MATCH: without it, the command would return keys of other environments")
}

// The map "commands" has each command that the hook permits, in lower case. Add a command here when
// Tuma or asynq begins to use it.
var commands = table(map[string]places{
	"asking auth client cluster command config discard exec hello info multi ping readonly readwrite role script select time unwatch wait waitaof": none,
	"append get getdel getex getrange getset incr incrby incrbyfloat decr decrby psetex set setex setnx setrange strlen getbit setbit bitcount":    at(1),
	"expire expireat expiretime persist pexpire pexpireat pexpiretime pttl ttl type":                                                               at(1),
	"hdel hexists hget hgetall hincrby hincrbyfloat hkeys hlen hmget hmset hscan hset hsetnx hstrlen hvals hrandfield":                             at(1),
	"lindex linsert llen lpop lpush lpushx lrange lrem lset ltrim rpop rpush rpushx lpos":                                                          at(1),
	"sadd scard sismember smembers smismember spop srandmember srem sscan":                                                                         at(1),
	"zadd zcard zcount zincrby zlexcount zmscore zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrank zrem zremrangebylex":           at(1),
	"zremrangebyrank zremrangebyscore zrevrange zrevrangebyscore zrevrank zscan zscore":                                                            at(1),
	"xack xadd xautoclaim xclaim xdel xlen xpending xrange xrevrange xtrim":                                                                        at(1),
	"publish spublish":                           at(1),
	"lmove rename renamenx rpoplpush smove copy": at(1, 2),
	"memory object xinfo xgroup":                 at(2),
	"del exists mget touch unlink watch":         rest,
	"eval eval_ro evalsha evalsha_ro":            script,
	"scan":                                       scan,
})

// The function "table" splits each key of the map m into its words. It maps each word to the value of
// this key.
func table(m map[string]places) map[string]places {
	out := map[string]places{}
	for names, where := range m {
		for name := range strings.FieldsSeq(names) {
			out[name] = where
		}
	}
	return out
}
