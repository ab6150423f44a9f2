package ledger

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
)

// fields reads fields of the ledger hash of a campaign or message. A message may have its full form or an archive.
func (l recordReader) fields(ctx context.Context, id string, names ...string) ([]any, error) {
	asked := append(slices.Clip(names), fieldFormat) // with this field the answer shows whether the hash is missing or only lacks the named fields
	for try := 1; ; try++ {
		got, err := l.rdb.HMGet(ctx, ledgerKey(id), asked...).Result()
		if err != nil {
			return nil, err
		}
		if got[len(names)] != nil {
			return got[:len(names)], nil
		}
		f, err := l.form(ctx, id)
		if err != nil {
			return nil, err
		}
		if f.archive != nil {
			return f.archive.values(names), nil
		}
		if !f.full || try == restoreTries {
			return got[:len(names)], nil
		}
	}
}

// fieldsIn returns the same values as the method "fields". If the caller has read the archive of the message, fieldsIn
// takes the values from this archive and does not read Redis.
func (l recordReader) fieldsIn(ctx context.Context, id string, archive *archived, names []string) ([]any, error) {
	if archive != nil {
		return archive.values(names), nil
	}
	return l.fields(ctx, id, names...)
}

// The method "values" returns the values of fields as HMGET does.
func (a *archived) values(names []string) []any {
	out := make([]any, len(names))
	for i, name := range names {
		if v, ok := a.fields[name]; ok {
			out[i] = v
		}
	}
	return out
}

// specOf reads the record of the spec of a campaign or message. A message may have its full form or an archive. The
// result is empty if the spec does not exist.
func (l recordReader) specOf(ctx context.Context, id string) (string, error) {
	for try := 1; ; try++ {
		spec, err := l.rdb.Get(ctx, specKey(id)).Result()
		if !errors.Is(err, redis.Nil) {
			return spec, err
		}
		f, err := l.form(ctx, id)
		if err != nil {
			return "", err
		}
		if f.archive != nil {
			return f.archive.spec, nil
		}
		if !f.full || try == restoreTries {
			return "", nil
		}
	}
}

// someOf is what the method "many" reads of one campaign: some fields of its ledger hash and, if requested, its
// spec. The slice "values" is nil if the campaign does not exist.
type someOf struct {
	id     string
	names  []string
	values []any
	spec   string
}

// manyTurns is how often the method "many" tries to find a campaign or message. One try may not be enough, because a
// message may be archived or restored between two commands.
const manyTurns = 3

// The method "many" reads fields of several campaigns and messages at once. A message may have its full form or an
// archive. If none has an archive, the method takes one round trip. If "specs" is true, it also reads the specs.
func (l recordReader) many(ctx context.Context, all []someOf, specs bool) error {
	left := make([]*someOf, len(all))
	for i := range all {
		left[i] = &all[i]
	}
	for turn := 1; turn <= manyTurns && len(left) > 0; turn++ {
		if err := l.manyOnce(ctx, left, specs, turn); err != nil {
			return err
		}
		left = slices.DeleteFunc(left, (*someOf).isRead)
	}
	return nil
}

func (x *someOf) isRead() bool { return x.values != nil }

// manyOnce is one turn of the method "many"; the first turn is 1. The first turn reads no archives. If the ledger hash
// exists but the spec does not, a message may have been archived meanwhile. So only the last turn accepts a missing
// spec. manyOnce omits an archive that cannot be read.
func (l recordReader) manyOnce(ctx context.Context, left []*someOf, specs bool, turn int) error {
	archives, fields, texts := make([]*redis.StringCmd, len(left)), make([]*redis.SliceCmd, len(left)), make([]*redis.StringCmd, len(left))
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, x := range left {
			if turn > 1 {
				archives[i] = p.Get(ctx, tombstoneKey(x.id))
			}
			fields[i] = p.HMGet(ctx, ledgerKey(x.id), append(slices.Clip(x.names), fieldFormat)...)
			if specs {
				texts[i] = p.Get(ctx, specKey(x.id))
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	for i, x := range left {
		if turn > 1 && isArchive(archives[i].Val()) {
			if a, err := decodeArchive(archives[i].Val()); err == nil {
				x.values, x.spec = a.values(x.names), a.spec
			}
			continue
		}
		v := fields[i].Val()
		if len(v) == 0 || v[len(x.names)] == nil {
			continue
		}
		if specs {
			if x.spec = texts[i].Val(); x.spec == "" && turn < manyTurns {
				continue
			}
		}
		x.values = v[:len(x.names)]
	}
	return nil
}
