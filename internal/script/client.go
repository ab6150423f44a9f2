package script

import (
	"errors"
	"reflect"

	"github.com/redis/go-redis/v9"
)

// CheckClient returns an error if Tuma cannot work safely with a client. The client must not be
// nil. It must not be a ring, because a ring loses keys when a node fails. It must not read from
// replicas, because their data may be old. CheckClient sends nothing to Redis.
func CheckClient(rdb redis.UniversalClient) error {
	if v := reflect.ValueOf(rdb); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return errors.New("the redis client is nil")
	}
	switch c := rdb.(type) {
	case *redis.Ring:
		return errors.New("a redis.Ring is not supported, because it loses keys when a node fails: use redis.NewClient, NewFailoverClient or NewClusterClient")
	case *redis.ClusterClient:
		// NewClusterClient also sets ReadOnly if RouteByLatency or RouteRandomly is set.
		if o := c.Options(); o.ReadOnly || o.RouteByLatency || o.RouteRandomly {
			return errors.New("the cluster client reads from replicas, whose data may be old: set none of ReadOnly, RouteByLatency and RouteRandomly")
		}
	}
	return nil
}
