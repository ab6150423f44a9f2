package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The method "command" compares one command of the append-only file with the page.
func (s *schema) command(args []string) {
	name := strings.ToUpper(args[0])
	if len(args) < 2 {
		return
	}
	key := args[1]
	switch name {
	case "SELECT", "MULTI", "EXEC", "SCRIPT", "PUBLISH":
		return
	}
	if queue, ok := strings.CutPrefix(key, "asynq:{"); ok {
		queue, _, _ = strings.Cut(queue, "}")
		if find(s.queues, queue) == nil {
			s.say("queue %q is not on the page", queue)
		}
		return
	}
	if strings.HasPrefix(key, "asynq:") {
		return // this is a key of asynq, which the page does not describe
	}
	e := find(s.keys, key)
	if e == nil {
		s.say("key %q (%s) is not on the page", key, name)
		return
	}
	s.write(e, name, args)
}

// The method "write" checks that a command fits the type of its key on the schema page. The command's name is
// in upper case.
func (s *schema) write(e *entry, name string, args []string) {
	is := func(kind string) {
		if e.kind != kind {
			s.say("%s is a %s on the page; %s writes to it", e.name, e.kind, name)
		}
	}
	switch name {
	case "HSET", "HMSET", "HSETNX":
		is("hash")
		for i := 2; i+1 < len(args); i += 2 {
			s.field(e, args[i], args[i+1])
		}
	case "HINCRBY":
		is("hash")
		s.field(e, args[2], args[3])
	case "HDEL":
		is("hash")
	case "ZADD", "ZINCRBY", "ZREM", "ZREMRANGEBYSCORE":
		is("zset")
	case "XADD":
		is("stream")
		first := 3
		if strings.EqualFold(args[2], "MAXLEN") { // Redis writes the limit as "MAXLEN = limit"
			first = 6
		}
		for i := first; i+1 < len(args); i += 2 {
			s.field(e, args[i], args[i+1])
		}
	case "XDEL":
		is("stream")
	case "SADD", "SREM":
		is("set")
	case "APPEND", "SETRANGE":
		is("string")
	case "SET":
		is("string")
		s.names(e, "", args[2])
		for _, a := range args[3:] {
			if a = strings.ToUpper(a); a == "EX" || a == "PX" || a == "EXAT" || a == "PXAT" {
				s.expire(e)
			}
		}
	case "EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT":
		s.expire(e)
	case "RENAME":
		find(s.keys, args[2])
	case "DEL", "UNLINK", "PERSIST":
	default:
		s.say("%s writes to %s: the test does not know this command", name, e.name)
	}
}

func (s *schema) expire(e *entry) {
	e.expired = true
	if !e.expires {
		s.say("%s expires, and the page says that it does not", e.name)
	}
}

func (s *schema) field(e *entry, field, value string) {
	f := find(e.fields, field)
	if f == nil {
		s.say("field %q of %s is not on the page", field, e.name)
		return
	}
	if e.json[f.name] != nil {
		s.names(e, f.name, value)
	} else {
		s.names(e, "", value)
	}
}

// The method "names" checks the names in a JSON text. The parameter "value" may have other text before the
// JSON text.
func (s *schema) names(e *entry, field, value string) {
	listed := e.json[field]
	at := strings.IndexAny(value, "{[")
	if listed == nil || at < 0 {
		return
	}
	var v any
	if err := json.Unmarshal([]byte(value[at:]), &v); err != nil {
		s.say("%s %s does not hold JSON: %v", e.name, field, err)
		return
	}
	s.walk(e, field, "", v)
}

func (s *schema) walk(e *entry, field, path string, v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			s.walk(e, field, path, x)
		}
	case map[string]any:
		for name, x := range v {
			p := strings.TrimPrefix(path+"."+name, ".")
			if find(e.json[field], p) == nil {
				s.say("JSON name %q in %s %s is not on the page", p, e.name, field)
				continue
			}
			// p is an object. The page either lists the names in the object, or gives only its type. If the
			// page lists the names, check them too.
			if slices.ContainsFunc(e.json[field], func(x *entry) bool { return strings.HasPrefix(x.name, p+".") }) {
				s.walk(e, field, p, x)
			}
		}
	}
}

// The method "problems" returns the differences found so far, and the names on the page that no command has written.
func (s *schema) problems() []string {
	check := func(name string, e *entry) {
		reason, excused := neverWritten[name]
		switch {
		case e.seen && excused:
			s.say("%s was written: take it out of neverWritten (%s)", name, reason)
		case !e.seen && !excused:
			s.say("%s is on the page and was never written", name)
		}
	}
	names := map[string]bool{}
	for _, k := range s.keys {
		names[k.name] = true
		check(k.name, k)
		if k.expires && k.seen && !k.expired {
			s.say("%s never expires, and the page says that it does", k.name)
		}
		for _, f := range k.fields {
			names[k.name+" "+f.name] = true
			check(k.name+" "+f.name, f)
		}
		for field, list := range k.json {
			for _, n := range list {
				check(strings.TrimSpace(k.name+" "+field)+" JSON "+n.name, n)
			}
		}
	}
	for _, q := range s.queues {
		check("queue "+q.name, q)
	}
	for name := range neverWritten {
		if !names[name] {
			s.say("neverWritten has %s, which is not on the page", name)
		}
	}
	return slices.Sorted(maps.Keys(s.wrong))
}

// readCommands calls the function do() with the words of each command of an append-only file. The file has the
// command SELECT 0 as *2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n.
func readCommands(r io.Reader, do func(args []string)) error {
	in := bufio.NewReader(r)
	number := func(mark byte) (int, error) {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return 0, err
		}
		if line[0] == '#' { // an annotation
			return -1, nil
		}
		if line[0] != mark {
			return 0, fmt.Errorf("line %.40q must begin with %c", line, mark)
		}
		return strconv.Atoi(string(bytes.TrimSpace(line[1:])))
	}
	for {
		n, err := number('*')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n < 0 {
			continue
		}
		args := make([]string, n)
		for i := range args {
			size, err := number('$')
			if err != nil {
				return err
			}
			b := make([]byte, size+2)
			if _, err := io.ReadFull(in, b); err != nil {
				return err
			}
			args[i] = string(b[:size])
		}
		do(args)
	}
}
