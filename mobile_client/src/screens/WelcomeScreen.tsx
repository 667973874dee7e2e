import {View} from 'react-native';
import {SafeAreaView} from 'react-native-safe-area-context';

import {Button} from '../components/Button';
import {Choice} from '../components/Choice';
import {Card, Screen} from '../components/Layout';
import {ServerForm} from '../components/ServerForm';
import {Words} from '../components/Words';
import {useServices, useSettings} from '../hooks/useServices';
import {useText} from '../i18n';
import {languages} from '../i18n/languages';
import {space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';

/** The first start: where the server is, and that it answers. */
export function WelcomeScreen() {
  const t = useText();
  const {colors} = useTheme();
  const {settings} = useServices();
  const {language} = useSettings();
  const server = settings.current();
  const done = () => void settings.update({welcomed: true});
  return (
    <SafeAreaView style={{flex: 1, backgroundColor: colors.ground}}>
      <Screen>
        <View style={{gap: space.small}}>
          <Words look="huge">{t('welcome')}</Words>
          <Words>{t('welcomeText')}</Words>
        </View>
        <Card title={t('server')}>
          <ServerForm server={server} action={t('start')} onSaved={done} />
        </Card>
        <Choice
          label={t('languageApp')}
          value={language}
          onChange={(value) => void settings.update({language: value})}
          options={[
            {value: 'system' as const, label: t('asSystem')},
            ...(Object.entries(languages) as [keyof typeof languages, string][]).map(([value, label]) => ({value, label})),
          ]}
        />
        <Button look="plain" label={t('later')} onPress={done} />
      </Screen>
    </SafeAreaView>
  );
}
