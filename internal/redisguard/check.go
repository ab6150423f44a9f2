package redisguard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrUnfit means that Redis may lose data, refuses writes, or is too old for Tuma's scripts.
var ErrUnfit = errors.New("redis is not fit for sending")

// Check checks from INFO that a Redis keeps its data: version 7.0 or later, "maxmemory-policy
// noeviction", "appendonly yes", and the role of a master. It returns one error that lists all
// faults and wraps ErrUnfit. If unsafe is true, Check returns these faults as warnings instead. If
// a setting cannot be read, Check returns a warning.
//
// Check also does what CheckWritable does. An error of CheckWritable is an error even if unsafe is
// true. The test writes come last: if an earlier check returns an error, Check writes nothing to
// Redis. Check wraps connection errors.
func Check(ctx context.Context, rdb redis.UniversalClient, unsafe bool) (warnings []string, err error) {
	if warnings, err = checkServer(ctx, rdb, unsafe); err != nil {
		return warnings, err
	}
	return warnings, TryWrites(ctx, rdb)
}

// checkServer does what Check does, except that it does not write to Redis.
func checkServer(ctx context.Context, rdb redis.UniversalClient, unsafe bool) (warnings []string, err error) {
	if err := rdb.Ping(ctx).Err(); err != nil {
		return nil, fmt.Errorf("check redis: %w", err)
	}
	if err := checkRole(ctx, rdb); err != nil {
		return nil, err
	}
	return checkSettings(ctx, rdb, unsafe)
}

// checkSettings checks the settings that Check names. If unsafe is true, it returns faults as
// warnings.
func checkSettings(ctx context.Context, rdb redis.UniversalClient, unsafe bool) (warnings []string, err error) {
	info := map[string]string{}
	for _, section := range []string{"server", "memory", "persistence", "replication"} {
		got, err := rdb.InfoMap(ctx, section).Result()
		if err != nil {
			continue // the section cannot be read; a warning below reports its settings
		}
		for _, fields := range got {
			for k, v := range fields {
				info[k] = v
			}
		}
	}
	wrong, warnings := checkInfo(info)
	if len(wrong) == 0 {
		return warnings, nil
	}
	if unsafe {
		for _, x := range wrong {
			warnings = append(warnings, "redis.unsafe is set: "+x)
		}
		return warnings, nil
	}
	return warnings, fmt.Errorf("%w: %s (redis.unsafe: true accepts this, for trials only)", ErrUnfit, strings.Join(wrong, "; "))
}

// hashSlots is the number of hash slots of a Redis cluster.
const hashSlots = 16384

// CheckWritable returns an error that wraps ErrUnfit if Redis cannot be written to. Such a Redis
// is a read-only replica, a cluster that does not serve all hash slots, or a cluster node that is
// used without a cluster client. Otherwise it returns the error of TryWrites.
func CheckWritable(ctx context.Context, rdb redis.UniversalClient) error {
	if err := checkRole(ctx, rdb); err != nil {
		return err
	}
	return TryWrites(ctx, rdb)
}

// checkRole makes the checks of CheckWritable that write nothing. It returns nil if the user of
// Redis must not run INFO or CLUSTER INFO.
func checkRole(ctx context.Context, rdb redis.UniversalClient) error {
	info := map[string]string{}
	for _, section := range []string{"replication", "cluster"} {
		got, err := rdb.InfoMap(ctx, section).Result()
		if err != nil {
			return nil //nolint:nilerr // the user may not run INFO, so the role is not known
		}
		for _, fields := range got {
			maps.Copy(info, fields)
		}
	}
	if info["role"] == "slave" && info["slave_read_only"] == "1" {
		return fmt.Errorf("%w: this redis is a read-only replica: connect to its master, %s", ErrUnfit, net.JoinHostPort(info["master_host"], info["master_port"]))
	}
	if info["cluster_enabled"] != "1" {
		return nil
	}
	text, err := rdb.ClusterInfo(ctx).Result()
	if err != nil {
		return nil //nolint:nilerr // the user may not run CLUSTER, so the state of the cluster is not known
	}
	cluster := map[string]string{}
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), ":")
		cluster[k] = v
	}
	ok, err := strconv.Atoi(cluster["cluster_slots_ok"])
	if err != nil {
		return nil //nolint:nilerr // CLUSTER INFO does not give the number of slots
	}
	if ok < hashSlots {
		return starting{fmt.Errorf("%w: the cluster serves %d of %d hash slots, state %s: redis-cli --cluster check lists the missing nodes",
			ErrUnfit, ok, hashSlots, cluster["cluster_state"])}
	}
	if _, aware := rdb.(*redis.ClusterClient); !aware && cluster["cluster_size"] != "1" {
		return fmt.Errorf("%w: this redis is one of %s masters of a cluster, but is used as a single server: use redis-cluster:// in the URL",
			ErrUnfit, cluster["cluster_size"])
	}
	return nil
}

// The type "starting" wraps an error whose cause may be that Redis has not finished its start. Such
// an error may end without a change of configuration (MayPass).
type starting struct{ error }

// Unwrap returns the wrapped error.
func (e starting) Unwrap() error { return e.error }

// MayPass reports whether the fault that err describes may end without a change of configuration.
// Such faults are: Redis does not answer, is still starting, or refuses writes, or a cluster does
// not serve all slots. A wrong login, a missing right and an unfit Redis need a change of
// configuration.
func MayPass(err error) bool {
	if _, ok := errors.AsType[starting](err); ok {
		return true
	}
	for _, prefix := range []string{"NOAUTH", "WRONGPASS", "NOPERM"} {
		if redis.HasErrorPrefix(err, prefix) {
			return false
		}
	}
	return err != nil && !errors.Is(err, ErrUnfit)
}

func checkInfo(info map[string]string) (wrong, warnings []string) {
	checks := []struct {
		field string
		good  func(string) bool
		say   string
	}{
		{"redis_version", atLeast7, "the version of this redis is %s, but 7.0 or later is needed"},
		{"maxmemory_policy", func(v string) bool { return v == "noeviction" }, "maxmemory-policy is %s, which may evict campaigns: set it to noeviction"},
		{"aof_enabled", func(v string) bool { return v == "1" }, "this redis has no append-only file, and loses its data when it stops: set appendonly yes"},
		{"role", func(v string) bool { return v == "master" }, "this redis is a %s, not a master"},
	}
	for _, c := range checks {
		v, ok := info[c.field]
		switch {
		case !ok || v == "":
			warnings = append(warnings, "cannot read "+c.field+" of this redis")
		case !c.good(v) && strings.Contains(c.say, "%s"):
			wrong = append(wrong, fmt.Sprintf(c.say, v))
		case !c.good(v):
			wrong = append(wrong, c.say)
		}
	}
	return wrong, warnings
}

func atLeast7(v string) bool {
	major, _, _ := strings.Cut(v, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= 7
}
