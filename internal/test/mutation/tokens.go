package main

import (
	"fmt"
	"go/parser"
	"go/scanner"
	gotoken "go/token"
	"go/types"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// token is one name, number, string or sign of a source text. White space, comments and the
// semicolons that Go's scanner adds at line ends are not tokens.
type token struct {
	text     string
	from, to int // byte offsets in the source text, of the token's first byte and of the byte after its end
	// word is true for a keyword or an identifier.
	word bool
	// member is true for a token that follows a dot (in Lua also a colon). Such a token is a
	// field, a method, or a name from another package.
	member bool
	// name is true for an identifier of this project, which a rename may change.
	name bool
}

// language lists the words of a programming language. A rename in this project cannot change these words.
type language struct {
	fixed map[string]bool
	// packages are the names of packages of the standard library. In "time.Now", for example,
	// neither name can be renamed.
	packages map[string]bool
}

// scan returns the tokens of a text, or an error if the text begins or ends within a token. The
// extension of the parameter "file", .go or .lua, selects the language. The file need not exist.
func (l language) scan(file, text string) (tokens []token, err error) {
	switch path.Ext(file) {
	case ".go":
		tokens, err = scanGo(text)
	case ".lua":
		tokens, err = scanLua(text)
	default:
		err = fmt.Errorf("the file must be a .go or .lua file")
	}
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", file, err)
	}
	for i := range tokens {
		t := &tokens[i]
		t.member = i > 0 && (tokens[i-1].text == "." || tokens[i-1].text == ":" && path.Ext(file) == ".lua")
		isPackage := !t.member && l.packages[t.text] && i+1 < len(tokens) && tokens[i+1].text == "."
		ofPackage := t.member && i > 1 && !tokens[i-2].member && l.packages[tokens[i-2].text]
		t.name = t.word && !l.fixed[t.text] && !isPackage && !ofPackage
	}
	return tokens, nil
}

func scanGo(text string) (tokens []token, err error) {
	file := gotoken.NewFileSet().AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), func(_ gotoken.Position, msg string) { err = fmt.Errorf("%s in %q", msg, text) }, 0)
	for {
		pos, kind, literal := s.Scan()
		switch {
		case kind == gotoken.EOF:
			return tokens, err
		case kind == gotoken.SEMICOLON && literal == "\n":
			continue
		case literal == "":
			literal = kind.String()
		}
		from := file.Offset(pos)
		tokens = append(tokens, token{text: literal, from: from, to: from + len(literal), word: kind == gotoken.IDENT || kind.IsKeyword()})
	}
}

// The alternatives of luaToken are, in this order: white space, comments, words, numbers, strings,
// signs. Strings and comments in brackets of a higher level ([=[ ]=]) are not supported.
var luaToken = regexp.MustCompile(`^(?:(\s+|--\[\[(?s:.*?)\]\]|--[^\n]*)|([A-Za-z_]\w*)|0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|` +
	`'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|\[\[(?s:.*?)\]\]|\.\.\.|\.\.|[=~<>]=|[-+*/%^#<>=(){}\[\];:,.])`)

func scanLua(text string) (tokens []token, err error) {
	for at := 0; at < len(text); {
		m := luaToken.FindStringSubmatch(text[at:])
		if m == nil {
			return nil, fmt.Errorf("not a Lua token: %.20q in %.60q", text[at:], text)
		}
		if m[1] == "" {
			tokens = append(tokens, token{text: m[0], from: at, to: at + len(m[0]), word: m[2] != ""})
		}
		at += len(m[0])
	}
	return tokens, nil
}

func set(words ...string) map[string]bool {
	out := map[string]bool{}
	for _, w := range words {
		out[w] = true
	}
	return out
}

// The variable "lua" is the language of the ledger's scripts, with the libraries of Redis.
var lua = language{
	fixed: set(strings.Fields(`and break do else elseif end false for function if in local nil not or repeat return then true until while
		KEYS ARGV redis string table math cjson cmsgpack struct bit tonumber tostring type ipairs pairs next select unpack pcall error assert`)...),
	packages: set("redis", "string", "table", "math", "cjson", "cmsgpack", "struct", "bit"),
}

// golang returns the language of a Go package. The parameter "texts" has the files of the package,
// by name.
func golang(texts map[string]string) language {
	l := language{fixed: set("_"), packages: map[string]bool{}}
	for t := gotoken.BREAK; t <= gotoken.VAR; t++ {
		l.fixed[t.String()] = true
	}
	for _, name := range types.Universe.Names() {
		l.fixed[name] = true
	}
	for _, text := range texts {
		file, err := parser.ParseFile(gotoken.NewFileSet(), "", text, parser.ImportsOnly)
		if err != nil {
			continue // the error is ignored here, because the Go command reports it
		}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if first, _, _ := strings.Cut(name, "/"); err != nil || strings.Contains(first, ".") {
				continue
			}
			if spec.Name != nil {
				name = spec.Name.Name
			}
			l.packages[path.Base(majorVersion.ReplaceAllString(name, ""))] = true
		}
	}
	return l
}

// majorVersion matches the major version at the end of an import path, such as "/v2" in
// math/rand/v2. The package's name is the last element before it, here rand.
var majorVersion = regexp.MustCompile(`/v\d+$`)
