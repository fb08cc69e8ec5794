package sample;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Says hello, and by which Maven it was built. */
@SpringBootApplication
@RestController
public class App {
    public static void main(String[] arguments) {
        SpringApplication.run(App.class, arguments);
    }

    @GetMapping("/")
    String hello(@RequestParam(name = "name", defaultValue = "world") String name) {
        String maven = App.class.getPackage().getImplementationVersion();
        return "Hello, " + name + ", from Spring Boot by Maven " + maven + ".";
    }
}
