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
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

// The values of User.AccessLevel.
const (
	// AccessNormal lets a user send.
	AccessNormal = "Normal"
	// AccessAdmin also lets a user create child users.
	AccessAdmin = "Admin"
)

// User is a child user to create. Username, Password, FirstName, LastName and Email are required.
type User struct {
	Username string
	Password providers.Secret
	// AccessLevel is AccessNormal or AccessAdmin. Default: AccessNormal.
	AccessLevel                string
	FirstName, LastName, Email string
	// Telephone is optional.
	Telephone string
	// Credits is the number of credits that are moved from this account to the user. It must not be
	// negative.
	Credits float64
	// CreditReminder is the number of remaining credits at which the user gets a reminder by email.
	// 0 turns the reminder off.
	CreditReminder float64
	// Alert is the number of days without activity after which the gateway sends an alert. 0 turns
	// the alert off.
	Alert int
}

// CreateUser creates a child user. The account must have admin access. If the gateway explains a
// refusal, the error contains the explanation, without the password. After an error whose Outcome is
// Unknown, the user may have been created.
func (p *Provider) CreateUser(ctx context.Context, u User) error {
	const op = "textconnect CreateUser"
	if u.AccessLevel == "" {
		u.AccessLevel = AccessNormal
	}
	switch {
	case u.Username == "", u.Password == "", u.FirstName == "", u.LastName == "", u.Email == "":
		return refusal(op, "username, password, first name, last name and email are required")
	case u.AccessLevel != AccessNormal && u.AccessLevel != AccessAdmin:
		return refusal(op, "the access level must be Normal or Admin")
	case !isCredits(u.Credits), !isCredits(u.CreditReminder), u.Alert < 0:
		return refusal(op, "credits, credit reminder and alert must not be negative")
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
			form = httpclient.AppendField(form, f.name, f.value)
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

// longNumber matches a text with digits that may be a phone number.
var longNumber = regexp.MustCompile(`[0-9][0-9 ().+-]{4,}[0-9]`)

// explanation returns the lines that follow the code in the reply, joined into one line of at most
// 200 bytes. The password, the client's secrets and phone numbers are masked.
func (p *Provider) explanation(body []byte, password providers.Secret) string {
	const longest = 200
	_, rest, _ := bytes.Cut(bytes.TrimSpace(body), []byte("\n"))
	if len(rest) > 8*longest {
		return "" // the text is too long for an explanation, and a shortened text might end with a part of the password
	}
	why := strings.ToValidUTF8(string(rest), "")
	raw := password.Reveal()
	for _, spelling := range []string{raw, url.QueryEscape(raw), url.PathEscape(raw), html.EscapeString(raw)} {
		why = strings.ReplaceAll(why, spelling, password.String())
	}
	why = p.client.Scrub(why)
	why = strings.Join(strings.FieldsFunc(why, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if strings.Contains(squeezed(why), squeezed(raw)) {
		return "" // the text contains the password in another form
	}
	why = longNumber.ReplaceAllStringFunc(why, sms.Mask)
	return strings.ToValidUTF8(why[:min(len(why), longest)], "")
}

// squeezed returns a text in lower case and without white space.
func squeezed(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), "")) }

// UpdateCredits moves credits from this account to a child user. If the quantity is negative, it
// moves them from the child user to this account. After an error whose Outcome is Unknown, the
// credits may have been moved.
func (p *Provider) UpdateCredits(ctx context.Context, username string, quantity float64) error {
	const op = "textconnect UpdateCredits"
	if username == "" || quantity == 0 || math.IsNaN(quantity) || math.IsInf(quantity, 0) {
		return refusal(op, "the username must not be empty, and the quantity must be a number other than 0")
	}
	form := httpclient.AppendField(p.form("UpdateCredits"), "ChildUsername", username)
	_, err := p.done(ctx, op, httpclient.AppendField(form, "Quantity", amount(quantity)))
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

// EmptyGroup removes all contacts from a group. The names of the action and of its parameter are
// from FastSMS, the product that TextConnect sells.
func (p *Provider) EmptyGroup(ctx context.Context, group string) error {
	return p.onGroup(ctx, "EmptyGroup", group)
}

// DeleteGroup deletes a group. The names of the action and of its parameter are from FastSMS, the
// product that TextConnect sells.
func (p *Provider) DeleteGroup(ctx context.Context, group string) error {
	return p.onGroup(ctx, "DeleteGroup", group)
}

func (p *Provider) onGroup(ctx context.Context, action, group string) error {
	op := Name + " " + action
	if group == "" {
		return refusal(op, "the group is missing")
	}
	_, err := p.done(ctx, op, httpclient.AppendField(p.form(action), "Group", group))
	return err
}

// The method "done" performs an action to which the gateway answers 1 on success. If the gateway has
// replied, the method returns the reply, even together with an error.
func (p *Provider) done(ctx context.Context, op string, form []byte) (*httpclient.Reply, error) {
	reply, err := p.post(ctx, op, form)
	if err != nil {
		return nil, err
	}
	if firstLine(reply.Body) != "1" {
		return reply, refused(op, reply)
	}
	return reply, nil
}
