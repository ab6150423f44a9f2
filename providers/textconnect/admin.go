package textconnect

import (
	"bytes"
	"context"
	"errors"
	"html"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// The values of AccessLevel.
const (
	// AccessNormal is a user who can send.
	AccessNormal = "Normal"
	// AccessAdmin is a user who can have users of its own.
	AccessAdmin = "Admin"
)

// User is a child user to be created. All fields are needed but those that say
// otherwise.
type User struct {
	Username string
	Password providers.Secret
	// AccessLevel is AccessNormal or AccessAdmin. Default: AccessNormal.
	AccessLevel                string
	FirstName, LastName, Email string
	// Telephone may be empty.
	Telephone string
	// Credits are what the user begins with; they are taken from this account.
	Credits float64
	// CreditReminder is how many credits are left when the user is warned by email;
	// 0: never.
	CreditReminder float64
	// Alert is after how many days without activity an alert is sent; 0: never.
	Alert int
}

// CreateUser creates a child user, if the account is an admin's. Where the gateway
// explains a refusal, the error does too, without the password. An Unknown error may
// have created the user.
func (p *Provider) CreateUser(ctx context.Context, u User) error {
	const op = "textconnect CreateUser"
	if u.AccessLevel == "" {
		u.AccessLevel = AccessNormal
	}
	switch {
	case u.Username == "", u.Password == "", u.FirstName == "", u.LastName == "", u.Email == "":
		return refusal(op, "a user needs a username, a password, a first and a last name and an email address")
	case u.AccessLevel != AccessNormal && u.AccessLevel != AccessAdmin:
		return refusal(op, "an access level is Normal or Admin")
	case !isCredits(u.Credits), !isCredits(u.CreditReminder), u.Alert < 0:
		return refusal(op, "credits and days must not be below zero")
	}
	form := p.form("CreateUser")
	for _, f := range []struct {
		name, value string
		optional    bool
	}{
		{name: "ChildUsername", value: u.Username}, {name: "ChildPassword", value: u.Password.Reveal()},
		{name: "AccessLevel", value: u.AccessLevel},
		{name: "FirstName", value: u.FirstName}, {name: "LastName", value: u.LastName}, {name: "Email", value: u.Email},
		{name: "Telephone", value: u.Telephone, optional: true}, {name: "Credits", value: amount(u.Credits)},
		{name: "CreditReminder", value: nonZero(u.CreditReminder), optional: true},
		{name: "Alert", value: nonZero(float64(u.Alert)), optional: true},
	} {
		if f.value != "" || !f.optional {
			form = providers.AppendField(form, f.name, f.value)
		}
	}
	reply, err := p.done(ctx, op, form)
	if e, ok := errors.AsType[*providers.Error](err); ok && reply != nil {
		if why := p.explanation(reply.Body, u.Password); why != "" && e.Cause != providers.CauseNotUnderstood {
			e.Err = errors.New(why)
		}
	}
	return err
}

func isCredits(amount float64) bool { return amount >= 0 && !math.IsInf(amount, 1) }

func amount(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func nonZero(n float64) string {
	if n == 0 {
		return ""
	}
	return amount(n)
}

// longNumber may be somebody's.
var longNumber = regexp.MustCompile(`[0-9][0-9 ().+-]{4,}[0-9]`)

// explanation returns the lines beneath a code as one, short and without anything
// that an error must not tell.
func (p *Provider) explanation(body []byte, password providers.Secret) string {
	const longest = 200
	_, rest, _ := bytes.Cut(bytes.TrimSpace(body), []byte("\n"))
	if len(rest) > 8*longest {
		return "" // no explanation, and cut it might end in half a password
	}
	why := strings.ToValidUTF8(string(rest), "")
	raw := password.Reveal()
	for _, spelling := range []string{raw, url.QueryEscape(raw), url.PathEscape(raw), html.EscapeString(raw)} {
		why = strings.ReplaceAll(why, spelling, password.String())
	}
	why = p.client.Scrub(why)
	why = strings.Join(strings.FieldsFunc(why, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if strings.Contains(squeezed(why), squeezed(raw)) {
		return "" // spelt in yet another way
	}
	why = longNumber.ReplaceAllStringFunc(why, sms.Mask)
	return strings.ToValidUTF8(why[:min(len(why), longest)], "")
}

// squeezed is a text in lower case and without white space.
func squeezed(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), "")) }

// UpdateCredits moves credits to a child user of this account, or back from it if
// quantity is below zero. An Unknown error may have moved them.
func (p *Provider) UpdateCredits(ctx context.Context, username string, quantity float64) error {
	const op = "textconnect UpdateCredits"
	if username == "" || quantity == 0 || math.IsNaN(quantity) || math.IsInf(quantity, 0) {
		return refusal(op, "name a user and a number of credits")
	}
	form := providers.AppendField(p.form("UpdateCredits"), "ChildUsername", username)
	_, err := p.done(ctx, op, providers.AppendField(form, "Quantity", amount(quantity)))
	return err
}

// DeleteAllContacts deletes every contact of the account.
func (p *Provider) DeleteAllContacts(ctx context.Context) error {
	_, err := p.done(ctx, "textconnect DeleteAllContacts", p.form("DeleteAllContacts"))
	return err
}

// DeleteAllGroups deletes every group of the account.
func (p *Provider) DeleteAllGroups(ctx context.Context) error {
	_, err := p.done(ctx, "textconnect DeleteAllGroups", p.form("DeleteAllGroups"))
	return err
}

// EmptyGroup removes all contacts from a group. The name of the action and of its
// parameter are the sibling's.
func (p *Provider) EmptyGroup(ctx context.Context, group string) error {
	return p.onGroup(ctx, "EmptyGroup", group)
}

// DeleteGroup deletes a group. The name of the action and of its parameter are the
// sibling's.
func (p *Provider) DeleteGroup(ctx context.Context, group string) error {
	return p.onGroup(ctx, "DeleteGroup", group)
}

func (p *Provider) onGroup(ctx context.Context, action, group string) error {
	op := Name + " " + action
	if group == "" {
		return refusal(op, "no group")
	}
	_, err := p.done(ctx, op, providers.AppendField(p.form(action), "Group", group))
	return err
}

// done does something that is answered with 1. The reply comes with an error that is
// made of it.
func (p *Provider) done(ctx context.Context, op string, form []byte) (*providers.Reply, error) {
	reply, err := p.post(ctx, op, form)
	if err != nil {
		return nil, err
	}
	if firstLine(reply.Body) != "1" {
		return reply, refused(op, reply)
	}
	return reply, nil
}
