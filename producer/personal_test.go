package producer_test

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/producer"
)

// recipientsWithFields returns a sequence of recipients. Each element of the parameter "all" is the
// Fields of one recipient.
func recipientsWithFields(all ...map[string]string) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		for i, x := range all {
			if !yield(producer.Recipient{Number: fmt.Sprintf("07123456%02d", i), Fields: x}, nil) {
				return
			}
		}
	}
}

type fieldValues = map[string]string

func TestEnqueue_MissingFieldsAreRefusedFirst(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	good := fieldValues{"First name": "Amina", "city": "Nairobi"}
	for name, x := range map[string]struct {
		body       string
		recipients iter.Seq2[producer.Recipient, error]
		says       string
	}{
		"a blank value":              {"Habari {{first_name}}", recipientsWithFields(good, fieldValues{"first_name": " "}), "recipient 2: the field firstname is blank"},
		"one is without the field":   {"Habari {{FirstName}}", recipientsWithFields(good, good, fieldValues{"city": "x"}), "recipient 3: the field firstname is blank"},
		"no recipient has the field": {"Habari {{nickname|there}}", recipientsWithFields(good, good), "no recipient has the field nickname"},
		"two of the same name":       {"Habari {{first name}}", recipientsWithFields(fieldValues{"First name": "a", "first_name": "b"}), "recipient 1 has the field firstname twice"},
		"no UTF-8":                   {"Habari {{city}}", recipientsWithFields(fieldValues{"city": "\xff"}), "recipient 1: the field city must be UTF-8"},
		"no fields at all":           {"Habari {{city|you}}", producer.Numbers("0712345678"), "no recipient has the field city"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := producer.Campaign{ID: strings.ReplaceAll(name, " ", "-"), Via: "kobo-main", Body: x.body}
			_, err := b.Enqueue(t.Context(), c, x.recipients)
			if !errors.Is(err, producer.ErrInvalid) || !strings.Contains(err.Error(), x.says) {
				t.Fatalf("Enqueue: error %v; want an ErrInvalid with the expected text", err)
			}
			var missing *producer.MissingError
			if errors.As(err, &missing) != strings.Contains(x.says, "blank") {
				t.Errorf("the error is a %T; want a *MissingError exactly for a blank field", err)
			}
			if n := b.rdb.Exists(t.Context(), "tuma:{"+c.ID+"}:l", "tuma:{"+c.ID+"}:s").Val(); n != 0 {
				t.Errorf("%d keys remain in Redis; want none", n)
			}
			c.OnMissing = producer.OnMissingSkip
			if _, err := b.Enqueue(t.Context(), c, x.recipients); (err == nil) != (missing != nil) {
				t.Errorf("Enqueue with OnMissingSkip: error %v; want none exactly for a blank field", err)
			}
		})
	}
}

func TestEnqueue_UsedFieldsAreTheContent(t *testing.T) {
	t.Parallel()
	id := func(c producer.Campaign, all ...fieldValues) string {
		t.Helper()
		out, err := producer.ContentID(c, recipientsWithFields(all...))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	c := producer.Campaign{Via: "kobo-main", Body: "Habari {{name}} {{city|there}}"}
	first := id(c, fieldValues{"name": "Amina", "city": "Nairobi"}, fieldValues{"name": "Juma"})
	if got := id(c, fieldValues{"NAME": "Amina", "City": "Nairobi", "age": "7"}, fieldValues{"name": "Juma", "city": ""}); got != first {
		t.Error("the case of field names, or a field that the body does not use, changed the content ID; want the same")
	}
	for what, other := range map[string]string{
		"a value":            id(c, fieldValues{"name": "Amina", "city": "Nairobi"}, fieldValues{"name": "Jumo"}),
		"values that moved":  id(c, fieldValues{"name": "Juma"}, fieldValues{"name": "Amina", "city": "Nairobi"}),
		"a value in another": id(c, fieldValues{"name": "Nairobi", "city": "Amina"}, fieldValues{"name": "Juma"}),
		"OnMissing":          id(producer.Campaign{Via: c.Via, Body: c.Body, OnMissing: producer.OnMissingSkip}, fieldValues{"name": "Amina", "city": "Nairobi"}, fieldValues{"name": "Juma"}),
	} {
		if other == first {
			t.Errorf("another %s did not change the content ID", what)
		}
	}
	if id(producer.Campaign{Via: c.Via, Body: c.Body, OnMissing: producer.OnMissingFail}, fieldValues{"name": "a"}) != id(c, fieldValues{"name": "a"}) {
		t.Error("OnMissingFail, which is the default, changed the content ID; want the same")
	}
}

func TestEnqueue_FourBracesAreTwoInAPlainText(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	c := producer.Campaign{ID: "c", Via: "kobo-main", Body: "Use {{{{name}} in your text"}
	if _, err := b.Enqueue(t.Context(), c, producer.Numbers("0712345678")); err != nil {
		t.Fatal(err)
	}
	if spec, err := b.ledger.Spec(t.Context(), "c"); err != nil || spec.Body != "Use {{name}} in your text" || spec.Personalized() {
		t.Errorf("the spec is %+v, %v; want two braces in its body, and no merge field", spec, err)
	}
}

// In a campaign with merge fields, Enqueue renders every message. The highest possible cost is the
// price of the segments of all messages.
func TestEnqueue_CostOfPersonalTexts(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.holding("credits", "6", "")
	long := strings.Repeat("x", 161)
	for name, x := range map[string]struct {
		change func(*producer.Campaign)
		all    []fieldValues
		short  string
	}{
		"enough":                {nil, []fieldValues{{"a": long}, {"a": long}, {"a": "y"}, {"a": "y"}}, ""},
		"one too many":          {nil, []fieldValues{{"a": long}, {"a": long}, {"a": long}, {"a": "y"}}, "7 credits"},
		"a cap":                 {func(c *producer.Campaign) { c.MaxMessages = 3 }, []fieldValues{{"a": long}, {"a": long}, {"a": long}, {"a": "y"}}, ""},
		"a cap on segments":     {func(c *producer.Campaign) { c.MaxSegments = 6 }, []fieldValues{{"a": long}, {"a": long}, {"a": long}, {"a": "y"}}, ""},
		"skipped are estimated": {func(c *producer.Campaign) { c.OnMissing = producer.OnMissingSkip }, []fieldValues{{"a": long}, {"a": long}, {"a": long}, {"a": " "}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := producer.Campaign{ID: strings.ReplaceAll(name, " ", "-"), Via: "credits", Body: "{{a}}"}
			if x.change != nil {
				x.change(&c)
			}
			receipt, err := b.Enqueue(t.Context(), c, recipientsWithFields(x.all...))
			if err != nil {
				t.Fatal(err)
			}
			said := fmt.Sprint(receipt.Credit)
			if (x.short != "") != strings.Contains(said, "short") || !strings.Contains(said, x.short) {
				t.Errorf("credit warnings = %s; want one only if the credit is short", said)
			}
		})
	}
}

// If a body is too long even with empty merge fields, Enqueue refuses the campaign before it
// uploads a recipient.
func TestEnqueue_TextTooLongForAllIsRefused(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	c := producer.Campaign{ID: "c", Via: "kobo-main", Body: strings.Repeat("x", 906) + "{{a}}"}
	if _, err := b.Enqueue(t.Context(), c, recipientsWithFields(fieldValues{"a": "1"})); !errors.Is(err, producer.ErrInvalid) || !strings.Contains(err.Error(), "905") {
		t.Errorf("Enqueue: error %v; want an ErrInvalid that contains 905", err)
	}
}
