package kobo

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

// notOnThePage has each error code of the package that is not on the vendor's page. The value is
// the source of the code.
var notOnThePage = map[string]string{
	"error_number": "public", "error_restricted_senderid": "public", "error_msgid": "public", "error_user_id": "public",
}

// prose maps each line of the vendor's page outside its tables to the name of the code that implements the line.
var prose = map[string]string{
	"All KoboMobile SMS APIs return a response in json format. The HTTP (RESTful) API returns one of the following HTTP status codes.": "unquote: the examples are plain text",
}

// table is a table of the vendor's page: its title, and the cells of its rows.
type table struct {
	title string
	rows  [][]string
}

// The method "names" returns the first cell of each row, sorted. It removes the suffix "(optional)"
// from the cells.
func (t table) names() (names []string) {
	for _, row := range t.rows {
		names = append(names, strings.TrimSuffix(row[0], " (optional)"))
	}
	return slices.Sorted(slices.Values(names))
}

// cell returns the second cell of the row with the given name.
func (t table) cell(name string) string {
	for _, row := range t.rows {
		if strings.TrimSuffix(row[0], " (optional)") == name {
			return row[1]
		}
	}
	return ""
}

// readPage parses testdata/page.txt and fails for a line that it does not recognise.
func readPage(t *testing.T) (tables []table) {
	t.Helper()
	raw, err := os.ReadFile("testdata/page.txt")
	if err != nil {
		t.Fatal(err)
	}
	row := ""
	end := func() {
		if row == "" {
			return
		}
		cells := strings.Split(row, "|")
		now := &tables[len(tables)-1]
		third := len(cells) == 4 && strings.TrimSpace(cells[2]) != ""
		if len(cells) < 3 || len(cells) > 4 || strings.TrimSpace(cells[len(cells)-1]) != "" || third != (now.title == "API Response") {
			t.Errorf("the test does not recognise the row %q", row)
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		now.rows, row = append(now.rows, cells), ""
	}
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		switch title, header := strings.CutPrefix(line, "# | "); {
		case header:
			end()
			title, _, _ = strings.Cut(title, " |")
			tables = append(tables, table{title: title})
		case prose[line] != "":
			end()
		case len(tables) == 0 || row == "" && !strings.Contains(line, " | "):
			if line != "---|---|---|" {
				t.Errorf("the test does not recognise the line %q", line)
			}
		case !strings.Contains(line, "|"):
			t.Errorf("the test does not recognise the line %q within a row", line)
		default:
			if row += line + " "; strings.Count(row, "|") >= 3 {
				end()
			}
		}
	}
	end()
	for line := range prose {
		if !strings.Contains(string(raw), line+"\n") {
			t.Errorf("the line %q of the test is not on the vendor's page", line)
		}
	}
	return tables
}

// sentForms calls every method of the package and returns the forms that the server got, by path.
func sentForms(t *testing.T) map[string]url.Values {
	t.Helper()
	forms := map[string]url.Values{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ParseForm() != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("got the request %s %s with headers %v, want a form by POST", r.Method, r.URL, r.Header)
		}
		forms[r.URL.Path] = r.PostForm
		_, _ = io.WriteString(w, map[string]string{"/api/send/": "sent", "/api/credit/": "1", "/api/report/": "DELIVRD"}[r.URL.Path])
	}))
	defer web.Close()
	p := account(t, web.URL)
	_, err1 := p.Send(t.Context(), batch(one))
	_, err2 := p.Balance(t.Context())
	_, err3 := p.MessageStatus(t.Context(), idA)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	return forms
}

func TestVendorPage_EveryEndpointAndParameterIsUsed(t *testing.T) {
	t.Parallel()
	forms, path, used := sentForms(t), "", 0
	for _, now := range readPage(t) {
		form := slices.Sorted(maps.Keys(forms[path]))
		switch {
		case strings.HasPrefix(now.title, "API Service URL For "):
			path = strings.TrimPrefix(now.cell("URL"), DefaultBaseURL)
			used++
			if forms[path] == nil || !slices.Equal(now.names(), []string{"Request Type", "Spec", "URL"}) ||
				now.cell("Request Type") != "HTTP_POST" || now.cell("Spec") != "URL encode all request" {
				t.Errorf("the table %s: got the rows %q, want an endpoint of the package with a form by POST", now.title, now.rows)
			}
		case now.title == "Parameter":
			if diff := cmp.Diff(now.names(), form); diff != "" {
				t.Errorf("%s (-vendor's page +package):\n%s", path, diff)
			}
		case strings.HasPrefix(now.title, "API Example"):
			example, err := url.Parse(strings.ReplaceAll(now.cell("POST"), "? ", "?"))
			if err != nil || example.Path != path || len(now.rows) != 1 {
				t.Errorf("the example for %s: got the rows %q and the error %v, want one URL with that path", path, now.rows, err)
				continue
			}
			for name := range example.Query() {
				if !slices.Contains(form, name) {
					t.Errorf("%s: the example has the parameter %s, which the package does not send", path, name)
				}
			}
		case now.title == "API Response", strings.HasPrefix(now.title, "Message IDs - "):
		default:
			t.Errorf("the test does not recognise the table %q", now.title)
		}
	}
	if used != len(forms) {
		t.Errorf("got %d endpoints on the vendor's page and %d in the package, want the same number", used, len(forms))
	}
}

func TestVendorPage_LimitsAreEqual(t *testing.T) {
	t.Parallel()
	tables := readPage(t)
	send, response := tables[1], tables[10]
	all := fmt.Sprint(response.rows)
	for what, said := range map[string]string{
		fmt.Sprintf("must <= %dchars for Alphanumerical", MaxSenderAlpha):                                  send.cell("from"),
		fmt.Sprintf("must <= %dchars for Numerical", MaxSenderDigits):                                      send.cell("from"),
		fmt.Sprintf("must <= %dchars", MaxChars):                                                           send.cell("msg"),
		fmt.Sprintf("%s = Normal SMS %s = Flash SMS %s = Unicode SMS", typeNormal, typeFlash, typeUnicode): send.cell("type"),
		fmt.Sprintf("maximum of %d characters", MaxKey):                                                    send.cell("message_uuid"),
		fmt.Sprintf("automatically expire after %ddays", KeyTTL/(24*time.Hour)):                            send.cell("message_uuid"),
		fmt.Sprintf("currently %d numbers at a single call", MaxRecipients):                                all,
		"Separate with comma": send.cell("to"),
		"1 = true":            send.cell("enable_msg_id"),
	} {
		if !strings.Contains(said, what) {
			t.Errorf("want %q on the vendor's page, got %q", what, said)
		}
	}
}

func TestVendorPage_EveryAnswerHasItsVerdict(t *testing.T) {
	t.Parallel()
	var words []string
	samples := regexp.MustCompile(`[0-9]{13},[0-9a-f-]+(~[0-9]{13},[0-9a-f-]+)?`)
	read := 0
	for _, now := range readPage(t) {
		switch {
		case now.title == "API Response":
			for _, row := range now.rows {
				words = append(words, row[1])
				results, e := parseAnswer([]byte(row[1]), nums(one))
				if (e == nil) != (row[1] == "sent") || (results == nil) == (e == nil) {
					t.Errorf("the reply %s: got the results %v and the error %v, want results exactly for \"sent\"", row[1], results, e)
				}
			}
			continue
		case strings.HasPrefix(now.title, "Message IDs - ") && len(now.rows) != 1:
			t.Errorf("the table %s: got the rows %q, want one row", now.title, now.rows)
		}
		for _, sample := range samples.FindAllString(fmt.Sprint(now.rows), -1) {
			if !strings.Contains(fmt.Sprint(now.rows), "Tilde (~)") {
				continue // this row describes the parameter "to", so the numbers in it are not a reply
			}
			read++
			results, _ := parseAnswer([]byte(sample), nums(one))
			if len(results) != 1 || results[0].Outcome != providers.Accepted {
				t.Errorf("the sample %s: got %v, want one accepted recipient", sample, results)
			}
		}
	}
	if read != 4 {
		t.Errorf("got %d samples of message IDs, want 4", read)
	}
	ours := append(slices.Collect(maps.Keys(answers)), "sent")
	theirs := append(slices.Collect(maps.Keys(notOnThePage)), words...)
	if diff := cmp.Diff(slices.Sorted(slices.Values(theirs)), slices.Sorted(slices.Values(ours))); diff != "" {
		t.Errorf("codes (-vendor's page +package):\n%s", diff)
	}
}
