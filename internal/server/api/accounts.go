package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/producer"
)

type accountInput struct {
	Name string `path:"name" maxLength:"64" example:"kobo-main"`
}

type holdInput struct {
	Name string `path:"name" maxLength:"64" example:"kobo-main"`
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"40" doc:"One word. Default: manual."`
	}
}

type rateInput struct {
	Name string `path:"name" maxLength:"64" example:"kobo-main"`
	Body struct {
		Rate string `json:"rate" example:"80/s" doc:"N/s or N/m, 0 for an unlimited rate, or \"default\" for the configured rate."`
	}
}

type accountsOutput struct {
	Body struct {
		Accounts []producer.Account `json:"accounts"`
	}
}

func (a *API) addAccounts() {
	huma.Register(a.huma, operation("list-accounts", http.MethodGet, "/v1/accounts", "Accounts, their rates and holds", keys.ScopeRead),
		func(ctx context.Context, _ *struct{}) (*accountsOutput, error) {
			list, err := a.Client.Accounts(ctx)
			if err != nil {
				return nil, a.problem(err)
			}
			out := &accountsOutput{}
			out.Body.Accounts = append([]producer.Account{}, list...)
			return out, nil
		})
	huma.Register(a.huma, operation("hold-account", http.MethodPost, "/v1/accounts/{name}/hold", "Hold an account", keys.ScopeAdmin, status(http.StatusNoContent)),
		func(ctx context.Context, in *holdInput) (*noOutput, error) {
			return a.changed(ctx, "account.hold", in.Name, in.Body.Reason, a.Client.Hold(ctx, in.Name, in.Body.Reason))
		})
	huma.Register(a.huma, operation("release-account", http.MethodPost, "/v1/accounts/{name}/release", "Lift the hold of an account", keys.ScopeAdmin, status(http.StatusNoContent)),
		func(ctx context.Context, in *accountInput) (*noOutput, error) {
			_, err := a.Client.Release(ctx, in.Name)
			return a.changed(ctx, "account.release", in.Name, "", err)
		})
	huma.Register(a.huma, operation("set-rate", http.MethodPut, "/v1/accounts/{name}/rate", "Change the rate of an account", keys.ScopeAdmin, status(http.StatusNoContent)),
		func(ctx context.Context, in *rateInput) (*noOutput, error) {
			return a.changed(ctx, "account.rate", in.Name, in.Body.Rate, a.Rate(ctx, in.Name, in.Body.Rate))
		})
}

// The method "changed" ends an operation that has made a change. If err is nil, it writes the change
// to the audit log. Otherwise it returns err as a problem.
func (a *API) changed(ctx context.Context, what, object, detail string, err error) (*noOutput, error) {
	if err != nil {
		return nil, a.problem(err)
	}
	a.record(ctx, what, object, detail)
	return &noOutput{}, nil
}
