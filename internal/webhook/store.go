package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// listKey is the hash of the endpoints that the HTTP API made, by name.
const listKey = script.KeyPrefix + "webhooks"

// ErrConfigured means that the endpoint comes from tuma.yaml. Such an endpoint can be changed only in that file.
var ErrConfigured = errors.New("the webhook is set in tuma.yaml: change it there")

// ErrChanged means that another request has changed or deleted an endpoint at the same time.
var ErrChanged = errors.New("the webhook was changed by another request at the same time")

// rotateFor is how long Tuma signs with both the new and the old secret after the secret was replaced.
const rotateFor = 24 * time.Hour

// Service keeps the endpoints and delivers events to them. It is safe for concurrent use, and any number of processes may
// run it on one Redis.
type Service struct {
	queue
	client     *producer.Client
	log        zerolog.Logger
	sender     *sender
	configured atomic.Pointer[[]Endpoint]
	token      string
	// The field "now" is the clock for attempts. It is Redis' clock, except in tests.
	now func(context.Context) (time.Time, error)
	// The field "poll" is the time between two reads of new events.
	poll time.Duration
}

// New returns the Service in the Redis of the Runner "r". The Service reads events with the parameter "client". It logs
// names of endpoints, but no URLs, secrets or events. It does not close "r" and "client".
func New(r *script.Runner, client *producer.Client, log zerolog.Logger) *Service {
	s := &Service{queue: queue{r, r.Redis()}, client: client, log: log, sender: newSender(net.DefaultResolver), token: script.NewToken(), now: r.Now, poll: time.Second}
	s.SetConfigured(nil)
	return s
}

// SetConfigured replaces the endpoints of tuma.yaml. A request in flight continues with the old endpoint. If the HTTP
// API has made an endpoint under a name of tuma.yaml, only the endpoint of tuma.yaml is in use.
func (s *Service) SetConfigured(list []Endpoint) {
	list = slices.Clone(list)
	for i := range list {
		list[i].Configured = true
	}
	s.configured.Store(&list)
}

// stored is an Endpoint in the form of its record in Redis. Tuma signs with the secrets, so
// Redis must hold them unencrypted.
type stored struct {
	URL       string         `json:"u"`
	Events    []string       `json:"e,omitempty"`
	Secrets   []storedSecret `json:"s"`
	CreatedAt int64          `json:"t"`
}

type storedSecret struct {
	Key   string `json:"k"`
	Until int64  `json:"u,omitempty"`
}

func encode(e Endpoint) (string, error) {
	x := stored{URL: e.URL, Events: e.Events, CreatedAt: script.UnixMilli(e.CreatedAt)}
	for _, k := range e.Secrets {
		x.Secrets = append(x.Secrets, storedSecret{k.Key.Reveal(), script.UnixMilli(k.Until)})
	}
	text, err := json.Marshal(x)
	return string(text), err
}

func decode(name, text string) (Endpoint, error) {
	var x stored
	if err := json.Unmarshal([]byte(text), &x); err != nil {
		return Endpoint{}, fmt.Errorf("the record of webhook %s cannot be read", name) // err is left out, because its text could contain a part of a secret
	}
	e := Endpoint{Name: name, URL: x.URL, Events: x.Events, CreatedAt: time.UnixMilli(x.CreatedAt).UTC()}
	for _, k := range x.Secrets {
		secret := Secret{Key: providers.Secret(k.Key)}
		if k.Until != 0 {
			secret.Until = time.UnixMilli(k.Until)
		}
		e.Secrets = append(e.Secrets, secret)
	}
	return e, nil
}

// Endpoints returns all endpoints by name. If some endpoints cannot be read, it returns the others and an error.
func (s *Service) Endpoints(ctx context.Context) ([]Endpoint, error) {
	records, err := s.rdb.HGetAll(ctx, listKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	byName := map[string]Endpoint{}
	var unread error
	for name, text := range records {
		e, err := decode(name, text)
		if err != nil {
			unread = errors.Join(unread, err)
			continue
		}
		byName[name] = e
	}
	for _, e := range *s.configured.Load() {
		byName[e.Name] = e
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b Endpoint) int { return cmp.Compare(a.Name, b.Name) }), unread
}

// endpoint returns the endpoint with the given name, or producer.ErrNotFound.
func (s *Service) endpoint(ctx context.Context, name string) (Endpoint, error) {
	for _, e := range *s.configured.Load() {
		if e.Name == name {
			return e, nil
		}
	}
	text, err := s.rdb.HGet(ctx, listKey, name).Result()
	if errors.Is(err, redis.Nil) {
		return Endpoint{}, fmt.Errorf("webhook %.64q: %w", name, producer.ErrNotFound)
	}
	if err != nil {
		return Endpoint{}, fmt.Errorf("read webhook %.64q: %w", name, err)
	}
	return decode(name, text)
}

// checkMade returns nil for an endpoint that the HTTP API made, and ErrConfigured for an
// endpoint that tuma.yaml configures.
func (s *Service) checkMade(ctx context.Context, name string) error {
	e, err := s.endpoint(ctx, name)
	if err == nil && e.Configured {
		err = ErrConfigured
	}
	return err
}

// Create makes an endpoint that gets the events from now on. If e has no secret, Create makes a secret. If an endpoint
// with the same name, URL and events exists, Create returns that endpoint, and the result "again" is true. If e has a
// secret, it must be the secret of that endpoint too. If the existing endpoint differs, the error is a
// producer.ErrConflict. For mistakes in e, the error is a producer.ErrInvalid.
func (s *Service) Create(ctx context.Context, e Endpoint) (made Endpoint, again bool, err error) {
	e.AllowPrivate, e.Configured = false, false
	if mistakes := e.Mistakes(); len(mistakes) > 0 {
		list := make([]error, len(mistakes))
		for i, m := range mistakes {
			list[i] = m
		}
		return e, false, fmt.Errorf("create webhook: %w: %w", producer.ErrInvalid, errors.Join(list...))
	}
	before, err := s.endpoint(ctx, e.Name)
	if err == nil {
		return repeated(before, e)
	}
	if !errors.Is(err, producer.ErrNotFound) {
		return e, false, err
	}
	if n, err := s.rdb.HLen(ctx, listKey).Result(); err != nil || n >= MaxEndpoints {
		return e, false, cmp.Or(err, fmt.Errorf("create webhook: %w: %w", producer.ErrInvalid,
			error(&producer.FieldError{Field: "name", Problem: fmt.Sprintf("%d webhooks exist, which is the maximum: delete one", MaxEndpoints)})))
	}
	if len(e.Secrets) == 0 {
		e.Secrets = []Secret{{Key: NewSecret()}}
	}
	e.CreatedAt = time.Now().UTC().Truncate(time.Millisecond)
	text, err := encode(e)
	if err != nil {
		return e, false, fmt.Errorf("create webhook: %w", err)
	}
	if _, err := s.start(ctx, e.Name); err != nil {
		return e, false, err
	}
	created, err := s.rdb.HSetNX(ctx, listKey, e.Name, text).Result()
	if err != nil {
		return e, false, fmt.Errorf("create webhook: %w", err)
	}
	if !created {
		if before, err = s.endpoint(ctx, e.Name); err != nil {
			return e, false, err
		}
		return repeated(before, e)
	}
	return e, false, nil
}

// repeated handles a second request to make an endpoint. The parameter "before" is the existing endpoint. If e
// describes the same endpoint, the function returns the existing endpoint. Otherwise it returns an error.
func repeated(before, e Endpoint) (Endpoint, bool, error) {
	same := !before.Configured && before.URL == e.URL && slices.Equal(before.Events, e.Events)
	if len(e.Secrets) > 0 && !slices.ContainsFunc(before.Secrets, func(s Secret) bool { return s.Key == e.Secrets[0].Key }) {
		same = false
	}
	if !same {
		return before, false, fmt.Errorf("webhook %s exists, with another URL, other events or another secret: %w", e.Name, producer.ErrConflict)
	}
	return before, true, nil
}

// The method "start" returns the cursor of an endpoint. If the endpoint has no cursor, it first sets the cursor to the
// newest event.
func (s *Service) start(ctx context.Context, name string) (string, error) {
	last, err := s.client.LastEvent(ctx)
	if err != nil {
		return "", err
	}
	if err := s.rdb.HSetNX(ctx, stateKey(name), "cursor", last).Err(); err != nil {
		return "", fmt.Errorf("start webhook %s: %w", name, err)
	}
	cursor, err := s.rdb.HGet(ctx, stateKey(name), "cursor").Result()
	if err != nil {
		return "", fmt.Errorf("start webhook %s: %w", name, err)
	}
	return cursor, nil
}

// Delete removes an endpoint with its waiting and dead messages. A request in flight is not aborted.
func (s *Service) Delete(ctx context.Context, name string) error {
	if err := s.checkMade(ctx, name); err != nil {
		return err
	}
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HDel(ctx, listKey, name)
		p.Del(ctx, allKeys(name)...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete webhook %s: %w", name, err)
	}
	return nil
}

// Rotate gives an endpoint a new secret and returns it. For another 24 h, Tuma also signs with the newest old secret,
// so that the receiver has time to change to the new secret. Rotate returns ErrChanged if the endpoint was changed or
// deleted at the same time.
func (s *Service) Rotate(ctx context.Context, name string) (secret providers.Secret, oldUntil time.Time, err error) {
	if err := s.checkMade(ctx, name); err != nil {
		return "", oldUntil, err
	}
	now, err := s.now(ctx)
	if err != nil {
		return "", oldUntil, err
	}
	secret, oldUntil = NewSecret(), now.Add(rotateFor).UTC().Truncate(time.Second)
	if err := s.replace(ctx, name, func(e *Endpoint) {
		old := e.Secrets[:min(len(e.Secrets), 1)]
		e.Secrets = []Secret{{Key: secret}}
		for _, k := range old {
			e.Secrets = append(e.Secrets, Secret{k.Key, oldUntil})
		}
	}); err != nil {
		return "", oldUntil, fmt.Errorf("change the secret of webhook %s: %w", name, err)
	}
	return secret, oldUntil, nil
}

// The method "replace" changes an endpoint that the HTTP API made, unless another process changes or deletes this
// endpoint meanwhile.
func (s *Service) replace(ctx context.Context, name string, change func(*Endpoint)) error {
	before, err := s.rdb.HGet(ctx, listKey, name).Result()
	if errors.Is(err, redis.Nil) {
		return producer.ErrNotFound
	}
	if err != nil {
		return err
	}
	e, err := decode(name, before)
	if err != nil {
		return err
	}
	change(&e)
	after, err := encode(e)
	if err != nil {
		return err
	}
	out, err := s.scripts.Run(ctx, replaceScript, []string{listKey}, script.Args(replaceArgs{name, before, after})...)
	if err == nil && out[0] == "changed" {
		err = ErrChanged
	}
	return err
}
