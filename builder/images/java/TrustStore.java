import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;

/** Certificates of a PEM file as a trust store of Java, which reads no PEM: java TrustStore.java FROM.pem TO.p12 PASSWORD */
final class TrustStore {
    public static void main(String[] arguments) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (FileInputStream from = new FileInputStream(arguments[0])) {
            int number = 0;
            for (Certificate certificate : CertificateFactory.getInstance("X.509").generateCertificates(from)) {
                store.setCertificateEntry("certificate-" + number++, certificate);
            }
        }
        try (FileOutputStream to = new FileOutputStream(arguments[1])) {
            store.store(to, arguments[2].toCharArray());
        }
    }
}
