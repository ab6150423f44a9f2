package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuma-sms/tuma/internal/audit"
	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/producer"
)

type keysOutput struct {
	Body struct {
		Keys []keys.Key `json:"keys"`
	}
}

// keyBody is a new key in JSON.
type keyBody struct {
	Name      string       `json:"name" minLength:"1" maxLength:"64" example:"shop" doc:"Name of the caller, such as a service."`
	Scopes    []keys.Scope `json:"scopes" minItems:"1" maxItems:"3" enum:"read,send,admin" example:"[\"send\"]"`
	Accounts  []string     `json:"accounts,omitempty" maxItems:"100" doc:"Send only through these accounts. Default: all."`
	Senders   []string     `json:"senders,omitempty" maxItems:"100" doc:"Send only as these sender IDs. Default: all."`
	Daily     int          `json:"daily,omitempty" minimum:"0" doc:"Maximum number of messages in one UTC day. Default: no limit."`
	PerSecond int          `json:"per_second,omitempty" minimum:"0" doc:"Maximum number of requests in one second. Default: no limit."`
	ExpiresAt time.Time    `json:"expires_at,omitzero" doc:"When the key expires. Default: never."`
}

type createKeyInput struct {
	Body keyBody
}

type rotateKeyInput struct {
	ID   string `path:"id" maxLength:"128" example:"f742eeb916"`
	Body struct {
		Overlap secondsOfTime `json:"overlap,omitempty" minimum:"0" maximum:"2592000" doc:"How long the old key stays valid, in seconds. Default: the old key ends at once."`
	}
}

// NewKey is a key with its secret. It is exported for the package huma, which reads embedded structs.
type NewKey struct {
	keys.Key
	Secret string `json:"key" doc:"The text that callers send. It is shown only now."`
}

type newKeyOutput struct {
	Body NewKey
}

type auditInput struct {
	After string `query:"after" pattern:"^([0-9]+-[0-9]+)?$" doc:"The cursor of the last entry that you have."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type auditOutput struct {
	Body struct {
		Entries []audit.Entry `json:"entries"`
		Next    string        `json:"next,omitempty" doc:"The cursor of the last entry of this page: send it with the next request to get the next page."`
	}
}

func (a *API) addKeys() {
	huma.Register(a.huma, operation("list-keys", http.MethodGet, "/v1/keys", "Keys of this API, without their secrets", keys.ScopeAdmin),
		func(ctx context.Context, _ *struct{}) (*keysOutput, error) {
			list, err := a.Keys.List(ctx)
			if err != nil {
				return nil, a.problem(err)
			}
			out := &keysOutput{}
			out.Body.Keys = append([]keys.Key{}, list...)
			return out, nil
		})
	huma.Register(a.huma, operation("create-key", http.MethodPost, "/v1/keys", "Make a key", keys.ScopeAdmin, status(http.StatusCreated),
		describe("The answer has the text of the key. Tuma shows this text only once, because it keeps only a hash. A repeated request makes another key.")), a.createKey)
	huma.Register(a.huma, operation("rotate-key", http.MethodPost, "/v1/keys/{id}/rotate", "Replace a key by a new one", keys.ScopeAdmin, status(http.StatusCreated),
		describe("Makes a new key with the same properties. The old key stays valid for the time in \"overlap\". Both keys count against the same limits. The text of the new key is shown only once.")), a.rotateKey)
	huma.Register(a.huma, operation("revoke-key", http.MethodDelete, "/v1/keys/{id}", "Make a key invalid at once", keys.ScopeAdmin, status(http.StatusNoContent)),
		func(ctx context.Context, in *idInput) (*noOutput, error) {
			found, err := a.Keys.Revoke(ctx, in.ID)
			if err == nil && !found {
				err = producer.ErrNotFound
			}
			return a.changed(ctx, "key.revoke", in.ID, "", err)
		})
	huma.Register(a.huma, operation("list-audit", http.MethodGet, "/v1/audit", "List of the changes, the oldest first", keys.ScopeAdmin),
		func(ctx context.Context, in *auditInput) (*auditOutput, error) {
			out := &auditOutput{}
			out.Body.Entries = []audit.Entry{}
			for e, err := range a.Audit.Entries(ctx, in.After) {
				if err != nil {
					return nil, a.problem(err)
				}
				out.Body.Entries, out.Body.Next = append(out.Body.Entries, e), e.Cursor
				if len(out.Body.Entries) == in.Limit {
					break
				}
			}
			return out, nil
		})
}

func (a *API) createKey(ctx context.Context, in *createKeyInput) (*newKeyOutput, error) {
	b := in.Body
	secret, made, err := a.Keys.Create(ctx, keys.Key{Name: b.Name, Scopes: b.Scopes, Accounts: b.Accounts, Senders: b.Senders, Daily: b.Daily, PerSecond: b.PerSecond, ExpiresAt: b.ExpiresAt})
	if err != nil {
		return nil, a.problem(keyError(err))
	}
	a.record(ctx, "key.create", made.ID, made.Name)
	return &newKeyOutput{Body: NewKey{made, secret}}, nil
}

func (a *API) rotateKey(ctx context.Context, in *rotateKeyInput) (*newKeyOutput, error) {
	secret, made, err := a.Keys.Rotate(ctx, in.ID, in.Body.Overlap.duration())
	if errors.Is(err, keys.ErrNoKey) {
		err = producer.ErrNotFound
	}
	if err != nil {
		return nil, a.problem(err)
	}
	a.record(ctx, "key.rotate", in.ID, "new key "+made.ID)
	return &newKeyOutput{Body: NewKey{made, secret}}, nil
}

// keyError turns an error about the fields of a new key into an error about the fields of the request.
func keyError(err error) error {
	all, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var fields []error
	for _, e := range all.Unwrap() {
		var m *keys.MistakeError
		if !errors.As(e, &m) {
			return err
		}
		fields = append(fields, &producer.FieldError{Field: m.Field, Problem: m.Problem})
	}
	return fmt.Errorf("%w: %w", producer.ErrInvalid, errors.Join(fields...))
}
