package config

import (
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"strings"
)

// TLS is the section redis.tls. It applies to URLs that begin with "rediss". The zero value stands for the CAs
// of the system and no client certificate.
type TLS struct {
	// ServerName is the name that the certificate of Redis must have. If it is empty, the host of the URL
	// applies.
	ServerName string
	// ca, cert and key are the contents of the configured files.
	ca, cert, key string
}

// Config returns the settings for a connection. The parameter "base" has the settings for the host of the URL.
func (t TLS) Config(base *tls.Config) *tls.Config {
	c := base.Clone()
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.ca != "" {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM([]byte(t.ca)) // the configuration reader has checked t.ca
	}
	if pair, err := tls.X509KeyPair([]byte(t.cert), []byte(t.key)); err == nil {
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

// redisTLS reads the section redis.tls.
func (r *reader) redisTLS(e entry, target *TLS) {
	var cert, key entry
	r.section(e, map[string]func(entry){
		"ca_file": func(e entry) {
			if target.ca = r.pemFile(e); target.ca != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(target.ca)) {
				r.fail(e, "has no certificate in PEM form")
			}
		},
		"cert_file":   func(e entry) { cert, target.cert = e, r.pemFile(e) },
		"key_file":    func(e entry) { key, target.key = e, r.pemFile(e) },
		"server_name": func(e entry) { r.string(e, &target.ServerName) },
	})
	switch {
	case cert.name == "" && key.name == "":
	case key.name == "":
		r.fail(cert, "needs key_file too")
	case cert.name == "":
		r.fail(key, "needs cert_file too")
	case target.cert != "" && target.key != "":
		if _, err := tls.X509KeyPair([]byte(target.cert), []byte(target.key)); err != nil {
			r.fail(cert, "must be a certificate in PEM form that belongs to key_file")
		}
	}
}

// pemFile returns the content of the file that the entry names, or "" if it cannot be read.
func (r *reader) pemFile(e entry) string {
	name, ok := r.text(e)
	if !ok {
		return ""
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(r.dir, name)
	}
	text, err := readSmallFile(name, 256<<10)
	if err != nil {
		r.fail(e, "cannot be read: %v", err)
		return ""
	}
	if r.sum != nil {
		r.sum.Write(text)
	}
	if len(text) == 0 {
		r.fail(e, "%s is empty", name)
	}
	return string(text)
}

// checkTLS reports a section redis.tls that has no effect.
func (r *reader) checkTLS(c *Redis) {
	if c.TLS != (TLS{}) && !strings.HasPrefix(c.URL, "rediss") {
		r.problems = append(r.problems, problem{name: r.file + ": redis.tls:", what: "has no effect, because the URL of " + c.Source + " does not begin with rediss: write rediss://, rediss-cluster:// or rediss-sentinel://"})
	}
}
