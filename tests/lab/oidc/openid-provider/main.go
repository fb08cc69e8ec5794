// An OpenID provider for tests: zitadel's, with clients that need no secret, users from a file, and their groups in
// the ID token.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// user is a line of the file: the name is the key, and the subject too.
type user struct {
	Password      string   `json:"password"`
	Email         string   `json:"email"`
	EmailVerified bool     `json:"emailVerified"`
	Groups        []string `json:"groups"`
}

// users reads the file each time, so that what a test writes holds from then on.
type users struct{ path string }

func (u users) all() map[string]user {
	text, err := os.ReadFile(u.path)
	found := map[string]user{}
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	if err != nil {
		log.Print(err)
	}
	return found
}

func (u users) GetUserByID(name string) *storage.User {
	found, ok := u.all()[name]
	if !ok {
		return nil
	}
	return &storage.User{ID: name, Username: name, Password: found.Password, Email: found.Email, EmailVerified: found.EmailVerified}
}

func (u users) GetUserByUsername(name string) *storage.User { return u.GetUserByID(name) }
func (u users) ExampleClientID() string                     { return "service" }

// client is public, may use the device flow, and gets the user's claims in its ID tokens.
type client struct {
	op.Client
	lifetime time.Duration
}

func (c client) GrantTypes() []oidc.GrantType {
	return append(c.Client.GrantTypes(), oidc.GrantTypeDeviceCode)
}
func (c client) IDTokenLifetime() time.Duration       { return c.lifetime }
func (c client) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c client) IsScopeAllowed(scope string) bool     { return scope == "groups" }

type store struct {
	*storage.Storage
	users    users
	lifetime time.Duration
}

func (s store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	found, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return client{found, s.lifetime}, nil
}

// SetUserinfoFromRequest is where zitadel's storage fills ID tokens.
func (s store) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, request op.IDTokenRequest, scopes []string) error {
	if err := s.Storage.SetUserinfoFromRequest(ctx, info, request, scopes); err != nil {
		return err
	}
	for _, scope := range scopes {
		if scope == "groups" {
			info.AppendClaims("groups", s.users.all()[request.GetSubject()].Groups)
		}
	}
	return nil
}

func main() {
	listen := flag.String("listen", "127.0.0.1:9998", "address")
	issuer := flag.String("issuer", "", "issuer")
	file := flag.String("users", "users.json", "users, a JSON object by name")
	lifetime := flag.Duration("lifetime", time.Hour, "of ID tokens")
	cert := flag.String("cert", "", "certificate; without it plain HTTP is spoken")
	key := flag.String("key", "", "key of the certificate")
	flag.Parse()
	storage.RegisterClients(
		storage.NativeClient("slipway", "http://127.0.0.1/callback"),
		storage.NativeClient("another", "http://127.0.0.1/callback"),
	)
	users := users{*file}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	router := exampleop.SetupServer(*issuer, store{storage.NewStorage(users), users, *lifetime}, logger, false)
	if *cert == "" {
		log.Fatal(http.ListenAndServe(*listen, router))
	}
	log.Fatal(http.ListenAndServeTLS(*listen, *cert, *key, router))
}
