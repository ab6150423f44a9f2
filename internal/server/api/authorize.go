package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuma-sms/tuma/internal/audit"
	"github.com/tuma-sms/tuma/internal/keys"
)

// keyOfRequest is the key of the context value that holds the API key of the request.
type keyOfRequest struct{}

// authorize passes a request on if its key is valid and has the scope of the operation.
func (a *API) authorize(ctx huma.Context, next func(huma.Context)) {
	scope, ok := ctx.Operation().Metadata["scope"].(keys.Scope)
	if !ok {
		next(ctx) // the OpenAPI document
		return
	}
	refuse := func(status int, text string) { _ = huma.WriteErr(a.huma, ctx, status, text) }
	scheme, secret, _ := strings.Cut(ctx.Header("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		secret = ""
	}
	key, err := a.Keys.Verify(ctx.Context(), strings.TrimSpace(secret))
	if err == nil {
		err = a.Keys.Take(ctx.Context(), key, 1, 0)
	}
	switch {
	case errors.Is(err, keys.ErrUnknown):
		ctx.SetHeader("WWW-Authenticate", `Bearer realm="tuma"`)
		refuse(http.StatusUnauthorized, "the key is missing or not valid: send Authorization: Bearer KEY")
		return
	case errors.Is(err, keys.ErrTooFast):
		ctx.SetHeader("Retry-After", "1")
		refuse(http.StatusTooManyRequests, err.Error())
		return
	case err != nil:
		a.writeFailure(ctx, err)
		return
	case !key.Allows(scope):
		refuse(http.StatusForbidden, "the key does not have the required scope: "+string(scope))
		return
	}
	if err := a.Keys.NoteUsed(ctx.Context(), key); err != nil {
		a.failures.Debug().Err(err).Msg("could not record the use of a key")
	}
	next(huma.WithValue(ctx, keyOfRequest{}, key))
}

// keyOf returns the key of a request.
func keyOf(ctx context.Context) keys.Key {
	k, _ := ctx.Value(keyOfRequest{}).(keys.Key)
	return k
}

// The method "record" writes a change to the audit log. If this fails, it only logs the error, because the change is
// already made.
func (a *API) record(ctx context.Context, what, object, detail string) {
	err := a.Audit.Add(context.WithoutCancel(ctx), audit.Entry{Who: keys.CreatedBy(keyOf(ctx)), What: what, Object: object, Detail: detail})
	if err != nil {
		a.Logger.Error().Err(err).Str("what", what).Str("object", object).Msg("could not write a change to the audit log")
	}
}
