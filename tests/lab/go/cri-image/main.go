// Command cri-image asks a container runtime for an image the way the kubelet does: through the
// kubelet's own client of the CRI ImageService (k8s.io/cri-client), on the runtime's socket.
//
//	cri-image ENDPOINT pull IMAGE      prints the reference the runtime resolved
//	cri-image ENDPOINT status IMAGE    prints the image's status as JSON, null if it is absent
//	cri-image ENDPOINT remove IMAGE
//
// CRI_USERNAME and CRI_PASSWORD, when set, travel as the pull's AuthConfig, as a pull secret does.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
	remote "k8s.io/cri-client/pkg"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cri-image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: cri-image ENDPOINT pull|status|remove IMAGE")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	images, err := remote.NewRemoteImageService(args[0], time.Minute, nil, nil)
	if err != nil {
		return err
	}
	image := &runtime.ImageSpec{Image: args[2]}
	switch args[1] {
	case "pull":
		ref, err := images.PullImage(ctx, image, credentials(), nil)
		if err != nil {
			return err
		}
		fmt.Println(ref)
	case "status":
		status, err := images.ImageStatus(ctx, image, false)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(status.GetImage())
	case "remove":
		return images.RemoveImage(ctx, image)
	default:
		return fmt.Errorf("unknown action %q", args[1])
	}
	return nil
}

func credentials() *runtime.AuthConfig {
	name := os.Getenv("CRI_USERNAME")
	if name == "" {
		return nil
	}
	return &runtime.AuthConfig{Username: name, Password: os.Getenv("CRI_PASSWORD")}
}
