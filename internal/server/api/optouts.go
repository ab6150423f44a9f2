package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/producer"
)

type optOutInput struct {
	Body struct {
		Numbers []string `json:"numbers" minItems:"1" maxItems:"10000" example:"[\"+254712345678\"]" doc:"Phone numbers."`
		Sender  string   `json:"sender,omitempty" maxLength:"64" doc:"Sender ID. Default: the list for all senders."`
		Country string   `json:"country,omitempty" maxLength:"2" doc:"ISO code for numbers in national format."`
	}
}

type optOutOutput struct {
	Body producer.OptOutReceipt
}

type optInOutput struct {
	Body struct {
		Removed int `json:"removed"`
	}
}

type optOutQuery struct {
	Number  string `query:"number" required:"true" maxLength:"64" example:"+254712345678"`
	Country string `query:"country" maxLength:"2"`
}

type optOutsOutput struct {
	Body struct {
		OptOuts []producer.OptOut `json:"optouts"`
	}
}

func (a *API) addOptOuts() {
	huma.Register(a.huma, operation("add-optouts", http.MethodPost, "/v1/optouts", "Put numbers on a suppression list", keys.ScopeSend,
		describe("After the answer, workers claim no new call to these numbers.")),
		func(ctx context.Context, in *optOutInput) (*optOutOutput, error) {
			r, err := a.Client.OptOut(ctx, producer.OptOutNumbers(in.Body.Sender, in.Body.Country, in.Body.Numbers...))
			if err != nil {
				return nil, a.problem(err)
			}
			a.record(ctx, "optout.add", in.Body.Sender, strconv.Itoa(len(in.Body.Numbers))+" numbers")
			return &optOutOutput{Body: r}, nil
		})
	huma.Register(a.huma, operation("remove-optouts", http.MethodPost, "/v1/optouts/remove", "Take numbers off a suppression list", keys.ScopeAdmin),
		func(ctx context.Context, in *optOutInput) (*optInOutput, error) {
			n, err := a.Client.OptIn(ctx, producer.OptOutNumbers(in.Body.Sender, in.Body.Country, in.Body.Numbers...))
			if err != nil {
				return nil, a.problem(err)
			}
			a.record(ctx, "optout.remove", in.Body.Sender, strconv.Itoa(n)+" numbers")
			out := &optInOutput{}
			out.Body.Removed = n
			return out, nil
		})
	huma.Register(a.huma, operation("get-optouts", http.MethodGet, "/v1/optouts", "Suppression lists that contain a number", keys.ScopeRead),
		func(ctx context.Context, in *optOutQuery) (*optOutsOutput, error) {
			list, err := a.Client.OptOutsOf(ctx, in.Number, in.Country)
			if err != nil {
				return nil, a.problem(err)
			}
			out := &optOutsOutput{}
			out.Body.OptOuts = append([]producer.OptOut{}, list...)
			return out, nil
		})
}

type inboundInput struct {
	After   string `query:"after" doc:"The cursor of the last message that you have."`
	Account string `query:"account" maxLength:"64"`
	Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type inboundOutput struct {
	Body struct {
		Messages []producer.Inbound `json:"messages"`
		Next     string             `json:"next,omitempty" doc:"The cursor of the last message of this page: send it with the next request to get the next page."`
	}
}

func (a *API) addInbound() {
	huma.Register(a.huma, operation("list-inbound", http.MethodGet, "/v1/inbound", "Messages of subscribers, the oldest first", keys.ScopeRead),
		func(ctx context.Context, in *inboundInput) (*inboundOutput, error) {
			out := &inboundOutput{}
			out.Body.Messages = []producer.Inbound{}
			for m, err := range a.Client.Inbound(ctx, producer.InboundOptions{After: in.After, Account: in.Account}) {
				if err != nil {
					return nil, a.problem(err)
				}
				out.Body.Messages, out.Body.Next = append(out.Body.Messages, m), m.Cursor
				if len(out.Body.Messages) == in.Limit {
					break
				}
			}
			return out, nil
		})
}
