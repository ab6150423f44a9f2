//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The function "certificates" writes these files to the folder pki: a CA (ca.crt), the certificate of the API
// server (server.crt, server.key) and the key pair of service accounts (account.key, account.pub).
func certificates(dir string) error {
	ca, caKey, err := sign(dir, "ca", &x509.Certificate{
		Subject: pkix.Name{CommonName: "tuma-test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	if err != nil {
		return err
	}
	_, _, err = sign(dir, "server", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 97, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca, caKey)
	if err != nil {
		return err
	}
	_, _, err = sign(dir, "proxy", &x509.Certificate{
		Subject:  pkix.Name{CommonName: "front-proxy"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, caKey)
	if err != nil {
		return err
	}
	keda := filepath.Join(dir, "keda")
	if err := errors.Join(os.MkdirAll(keda, 0o755), writePEM(keda, "ca.crt", "CERTIFICATE", ca.Raw)); err != nil {
		return err
	}
	_, _, err = sign(keda, "tls", &x509.Certificate{
		Subject: pkix.Name{CommonName: "keda-operator"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, ca, caKey)
	if err != nil {
		return err
	}
	_, accountKey, err := sign(dir, "account", &x509.Certificate{Subject: pkix.Name{CommonName: "service-accounts"}}, ca, caKey)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(accountKey.Public())
	if err != nil {
		return err
	}
	return writePEM(dir, "account.pub", "PUBLIC KEY", public)
}

// sign creates a key and a certificate that is valid for a day, and writes both. If the parameter
// "parent" is nil, the certificate is self-signed.
func sign(dir, name string, template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return nil, nil, err
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(24*time.Hour)
	if parent == nil {
		parent, parentKey = template, key
	}
	body, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(writePEM(dir, name+".crt", "CERTIFICATE", body), writePEM(dir, name+".key", "EC PRIVATE KEY", private)); err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(body)
	return certificate, key, err
}

func writePEM(dir, name, kind string, body []byte) error {
	return os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body}), 0o600)
}
