package reasons

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
)

var update = flag.Bool("update", false, "write docs/reasons.md")

const root = "../../.."

func TestPage_IsUpToDate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(root, "docs/reasons.md")
	if *update {
		if err := os.WriteFile(file, []byte(page()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != page() {
		t.Errorf("docs/reasons.md differs from the table and the providers (%v): run go test ./internal/test/reasons -update", err)
	}
}

// The function "has" returns the words that the table explains under the given kinds.
func has(kinds ...kind) (out []string) {
	for _, k := range kinds {
		for _, w := range words[k] {
			out = append(out, w.word)
		}
	}
	return out
}

// parse returns the syntax trees of the Go files of a folder, without tests.
func parse(t *testing.T, folder string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("folder %s: %d files, %v", folder, len(names), err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// The function "constants" returns the values of string constants in a folder. The parameter
// "names" is a regular expression for the names of these constants.
func constants(t *testing.T, folder, names string) (out []string) {
	t.Helper()
	match := regexp.MustCompile(names)
	for _, f := range parse(t, folder) {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			for i := 0; ok && i < len(spec.Names) && i < len(spec.Values); i++ {
				if value, ok := literal(spec.Values[i]); ok && match.MatchString(spec.Names[i].Name) {
					out = append(out, value)
				}
			}
			return true
		})
	}
	return out
}

// The function "fields" searches the composite literals in the Go files of a folder. It returns
// the literal values of one field of a type. typeName is the end of the type's name.
func fields(t *testing.T, folder, typeName, field string) (out []string) {
	t.Helper()
	for _, f := range parse(t, folder) {
		ast.Inspect(f, func(n ast.Node) bool {
			c, ok := n.(*ast.CompositeLit)
			if !ok || c.Type == nil || !strings.HasSuffix(name(c.Type), typeName) {
				return true
			}
			for _, e := range c.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok && name(kv.Key) == field {
					if value, ok := literal(kv.Value); ok {
						out = append(out, value)
					}
				}
			}
			return true
		})
	}
	return out
}

func name(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	}
	return ""
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	value, err := strconv.Unquote(lit.Value)
	return value, err == nil && value != ""
}

// inScript returns the first group of each match of a pattern in a Lua file.
func inScript(t *testing.T, file, pattern string) (out []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		out = append(out, m[1])
	}
	return out
}

// inCode returns the words that the code uses, grouped by where they appear, such as "hold" or
// "pause".
func inCode(t *testing.T) map[string][]string {
	t.Helper()
	causes := constants(t, "providers", "^Cause[A-Z]")
	ofRecipients := slices.Concat(causes, constants(t, "providers", "^Reason[A-Z]"),
		inScript(t, "internal/ledger/claim.lua", `why = '([a-z_]+)'`))
	for _, k := range catalog.Kinds() {
		for _, c := range k.Codes {
			if c.Reason != "" {
				ofRecipients = append(ofRecipients, c.Reason)
			}
		}
		ofRecipients = append(ofRecipients, constants(t, "providers/"+k.Name, "^[rR]eason[A-Z]")...)
		ofRecipients = append(ofRecipients, fields(t, "providers/"+k.Name, "Result", "Reason")...)
	}
	return map[string][]string{
		"number":    constants(t, "sms", "^Reason[A-Z]"),
		"campaign":  slices.Concat(constants(t, "internal/campaign", "^Reason[A-Z]"), inScript(t, "internal/ledger/claim.lua", `stop\('([a-z_]+)'`)),
		"recipient": ofRecipients,
		"hold":      slices.Concat(causes, constants(t, "internal/accounts", "^HoldNothingAccepted$")),
		"block":     fields(t, "producer", "Block", "Reason"),
		"pause":     constants(t, "internal/campaign", "^Paused[A-Z][a-z]+[A-Z]"),
		"own code": slices.Concat(fields(t, "internal/verdict", "Error", "Code"), fields(t, "internal/dispatch", "Error", "Code"),
			fields(t, "internal/balance", "Error", "Code"), fields(t, "internal/reconcile", "Error", "Code"), constants(t, "internal/campaign", "^Code[A-Z]")),
	}
}

// The table must explain every reason in the code, and no other reason.
func TestTable_HasTheWordsOfTheCode(t *testing.T) {
	t.Parallel()
	code := inCode(t)
	var own []string
	for _, w := range ownCodes {
		own = append(own, w.word)
	}
	for _, c := range []struct {
		kind  string
		table []string
		least int // the smallest number of words that the test must find in the code; if it finds fewer, its search is wrong
	}{
		{"number", has(number), 11}, {"campaign", has(skipped, recipient), 12}, {"recipient", has(recipient), 25}, {"hold", has(hold), 11},
		{"block", has(block), 6}, {"pause", has(pause), 1}, {"own code", own, 2},
	} {
		found := slices.Compact(slices.Sorted(slices.Values(code[c.kind])))
		if len(found) < c.least {
			t.Errorf("%s: found only %q in the code, want at least %d words", c.kind, found, c.least)
		}
		for _, w := range found {
			if w == "gateway:" {
				w = "gateway:CODE"
			}
			if !slices.Contains(c.table, w) {
				t.Errorf("%s: the code has %q, and table.go does not explain it", c.kind, w)
			}
		}
	}
	// Every word of the table must also be in the code.
	all := slices.Concat(code["number"], code["campaign"], code["recipient"], code["hold"], code["block"], code["pause"], code["own code"])
	all = append(all, "gateway:CODE", "anything else", "global")
	all = append(all, inScript(t, "cmd/tuma/hold.go", `"reason", "([a-z]+)"`)...)
	for k, list := range words {
		seen := map[string]bool{}
		for _, w := range list {
			if !slices.Contains(all, w.word) {
				t.Errorf("%s: table.go explains %q, and the code does not have it", k, w.word)
			}
			if seen[w.word] || w.means == "" || w.do == "" {
				t.Errorf("%s: %q is there twice, or lacks its meaning or what to do", k, w.word)
			}
			seen[w.word] = true
		}
	}
}

func TestCodes_AreExplained(t *testing.T) {
	t.Parallel()
	for _, k := range catalog.Kinds() {
		if len(k.Codes) < 4 {
			t.Errorf("%s: got %d codes, want its whole table", k.Name, len(k.Codes))
		}
		for _, c := range k.Codes {
			if c.Code == "" || c.Outcome != providers.Accepted && c.Reason == "" && c.Cause == "" {
				t.Errorf("%s: code %+v has no reason and no cause", k.Name, c)
			}
		}
	}
}
