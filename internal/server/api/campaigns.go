package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/producer"
)

// CampaignBody is a campaign without its recipients, with the fields of producer.Campaign. It is exported for the
// package huma, which reads embedded structs.
type CampaignBody struct {
	ID            string        `json:"id,omitempty" maxLength:"128" example:"sale-2025-11" doc:"Idempotency key. The header Idempotency-Key has the same meaning."`
	Body          string        `json:"body" maxLength:"16384" example:"Hello {{name|there}}, we open at 9." doc:"Text, with merge fields such as {{name}}."`
	From          string        `json:"from,omitempty" maxLength:"64" example:"ACME" doc:"Sender ID. Default: the sender ID of the account."`
	Via           string        `json:"via,omitempty" maxLength:"64" example:"kobo-main" doc:"Account. Default: chosen by the workers' routes."`
	Class         string        `json:"class,omitempty" enum:"marketing,transactional" doc:"Default: marketing."`
	Country       string        `json:"country,omitempty" maxLength:"2" example:"KE" doc:"ISO code for numbers in national format."`
	OnMissing     string        `json:"on_missing,omitempty" enum:"fail,skip,default"`
	Duplicates    string        `json:"duplicates,omitempty" enum:"skip,each"`
	OnUnknown     string        `json:"on_unknown,omitempty" enum:"keep,resend"`
	Transliterate bool          `json:"transliterate,omitempty"`
	Flash         bool          `json:"flash,omitempty"`
	MaxMessages   int           `json:"max_messages,omitempty" minimum:"0"`
	MaxSegments   int           `json:"max_segments,omitempty" minimum:"0"`
	Canary        int           `json:"canary,omitempty" minimum:"0"`
	MaxRejected   float64       `json:"max_rejected,omitempty" minimum:"0" maximum:"100"`
	RequireCredit bool          `json:"require_credit,omitempty"`
	StartAt       time.Time     `json:"start_at,omitzero" doc:"When sending may begin. Default: now."`
	ExpiresAt     time.Time     `json:"expires_at,omitzero" doc:"Recipients that are not submitted by this time are skipped. Default: never."`
	ExpiresIn     secondsOfTime `json:"expires_in,omitempty" minimum:"0" maximum:"31536000" doc:"Expiry in seconds after the start, in place of expires_at."`
	StatusEvents  bool          `json:"status_events,omitempty" doc:"Write the events \"message.status\" about the recipients."`
}

func (b CampaignBody) campaign(id, by string) producer.Campaign {
	return producer.Campaign{ID: id, Via: b.Via, From: b.From, Body: b.Body, OnMissing: b.OnMissing, Duplicates: b.Duplicates, Transliterate: b.Transliterate,
		Class: producer.Class(b.Class), Country: b.Country, Flash: b.Flash, OnUnknown: b.OnUnknown, MaxMessages: b.MaxMessages, MaxSegments: b.MaxSegments,
		Canary: b.Canary, MaxRejected: b.MaxRejected, RequireCredit: b.RequireCredit, StartAt: b.StartAt, ExpiresAt: b.ExpiresAt, ExpiresIn: b.ExpiresIn.duration(), StatusEvents: b.StatusEvents, CreatedBy: by}
}

// recipientBody is a recipient in JSON.
type recipientBody struct {
	Number string            `json:"number" example:"+254712345678"`
	Fields map[string]string `json:"fields,omitempty" example:"{\"name\":\"Amina\"}" doc:"Values of the merge fields."`
	Ref    string            `json:"ref,omitempty" maxLength:"64" doc:"Your own reference. Results and events show it."`
}

type campaignOutput struct {
	Body producer.Status
}

type listInput struct {
	State string `query:"state" doc:"Only campaigns in these states, separated by commas."`
	Since string `query:"since" format:"date-time" doc:"Only campaigns created since this time."`
	After string `query:"after" doc:"The value of \"next\" in the previous page."`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	All   bool   `query:"all" doc:"List single messages too."`
}

type listOutput struct {
	Link string `header:"Link"`
	Body struct {
		Campaigns []producer.Status `json:"campaigns"`
		Next      string            `json:"next,omitempty" doc:"Send it as ?after= to get the next page; empty on the last page."`
	}
}

func (a *API) addCampaigns() {
	a.addUpload()
	huma.Register(a.huma, operation("list-campaigns", http.MethodGet, "/v1/campaigns", "Campaigns, newest first", keys.ScopeRead), a.listCampaigns)
	huma.Register(a.huma, operation("get-campaign", http.MethodGet, "/v1/campaigns/{id}", "Status of a campaign", keys.ScopeRead), a.getCampaign)
}

func (a *API) getCampaign(ctx context.Context, in *idInput) (*campaignOutput, error) {
	st, err := a.Client.Status(ctx, in.ID)
	if err != nil {
		return nil, a.problem(err)
	}
	return &campaignOutput{Body: st}, nil
}

func (a *API) listCampaigns(ctx context.Context, in *listInput) (*listOutput, error) {
	o := producer.ListOptions{Limit: in.Limit + 1, Messages: in.All}
	for s := range strings.SplitSeq(in.State, ",") {
		if s = strings.TrimSpace(s); s != "" {
			o.States = append(o.States, producer.State(s))
		}
	}
	if in.Since != "" {
		since, err := time.Parse(time.RFC3339, in.Since)
		if err != nil {
			return nil, a.problem(&producer.FieldError{Field: "since", Problem: "must be a time such as 2025-12-01T08:00:00Z"})
		}
		o.Since = since
	}
	after, err := base64.RawURLEncoding.DecodeString(in.After)
	if err != nil {
		return nil, a.problem(&producer.FieldError{Field: "after", Problem: "must be the value of \"next\" in an earlier answer"})
	}
	o.After = string(after)
	out := &listOutput{}
	out.Body.Campaigns = []producer.Status{}
	for st, err := range a.Client.ListCampaigns(ctx, o) {
		if err != nil {
			return nil, a.problem(err)
		}
		if len(out.Body.Campaigns) == in.Limit {
			out.Body.Next = base64.RawURLEncoding.EncodeToString([]byte(out.Body.Campaigns[in.Limit-1].ID))
			out.Link = `</v1/campaigns?after=` + out.Body.Next + `>; rel="next"`
			break
		}
		out.Body.Campaigns = append(out.Body.Campaigns, st)
	}
	return out, nil
}
